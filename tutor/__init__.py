"""The tutor: answers, asks, grades, remembers. Knows no screen."""
