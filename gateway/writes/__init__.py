"""The logic of mutations, from the checked input to the receipt."""
