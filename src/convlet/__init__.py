"""convlet: convolutional networks one can see through, on the computer one has."""
