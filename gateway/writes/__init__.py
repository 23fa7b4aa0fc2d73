"""What can be changed: the logic of each mutation, from the checked input to its receipt."""
