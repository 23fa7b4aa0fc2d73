"""Sort the lists of several providers together; needs every list to its end."""
