"""What the web app and the training engine share. Imports neither Django nor torch."""
