"""How the tables came to be what they are, step by step; each file is run once on every history (Alembic).

A new step is a new file with the next number, and SCHEMA_VERSION of tutor/database.py with it. A step that was released is never changed.
"""
