"""What runs in a cloud's container, and what is done to it from outside until it is a cloud."""
