"""What there is to learn: guides, the passages cut from them, and the question bank. Knows files and text only."""
