"""Methods that use gradients: conjugate gradients, FIRE, Adam, gradient descent."""
