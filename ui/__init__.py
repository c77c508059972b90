"""The faces of the tutor: terminal and browser."""
