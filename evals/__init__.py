"""How good is the tutor? Quality measured on cases, with the metrics the field knows."""
