<%!
    def in_schema(code):
        """Alembic writes our schema's name out; a migration runs in whichever schema is configured."""
        return code.replace("schema='faregate'", "schema=SCHEMA").replace("'faregate.", "f'{SCHEMA}.")
%>\
"""${message}

Revision: ${up_revision}, after ${down_revision | comma,n}.
"""

import sqlalchemy as sa
import sqlmodel
from alembic import context, op
${imports if imports else ""}
revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = ${repr(branch_labels)}
depends_on = ${repr(depends_on)}


def upgrade() -> None:
    SCHEMA = context.config.attributes["schema"]
    ${in_schema(upgrades) if upgrades else "pass"}


def downgrade() -> None:
    SCHEMA = context.config.attributes["schema"]
    ${in_schema(downgrades) if downgrades else "pass"}
