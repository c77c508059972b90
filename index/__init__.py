"""From passages to hits: vectors, keywords, and the two fused. Knows no language model."""
