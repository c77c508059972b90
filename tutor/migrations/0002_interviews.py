"""Interviews turn by turn, conversations of the chat, thumbs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "interviews",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("learner", sa.String, nullable=False, index=True),
        sa.Column("interview_id", sa.String, nullable=False),
        sa.Column("started_at", sa.String, nullable=False),
        sa.Column("plan", sa.JSON, nullable=False),
        sa.UniqueConstraint("learner", "interview_id", name="one_interview"),
    )
    op.create_table(
        "turns",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("learner", sa.String, nullable=False, index=True),
        sa.Column("interview_id", sa.String, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("taken_at", sa.String, nullable=False),
        sa.Column("turn", sa.JSON, nullable=False),
        sa.UniqueConstraint("learner", "interview_id", "number", name="one_turn"),
    )
    op.create_table(
        "conversations",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("learner", sa.String, nullable=False, index=True),
        sa.Column("conversation_id", sa.String, nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("turns", sa.JSON, nullable=False),
        sa.Column("updated_at", sa.String, nullable=False),
        sa.Column("saved", sa.Integer, nullable=False),
        sa.UniqueConstraint("learner", "conversation_id", name="one_conversation"),
    )
    op.create_table(
        "feedback",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("learner", sa.String, nullable=False, index=True),
        sa.Column("given_at", sa.String, nullable=False),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("question", sa.Text, nullable=False),
        sa.Column("answer", sa.JSON, nullable=False),
    )
