"""Run by Alembic, with the connection and the list to fill that `gateway.state.database.migrate` gave it."""

from alembic import context

connection = context.config.attributes["connection"]
applied = context.config.attributes["applied"]

context.configure(
    connection=connection,
    on_version_apply=lambda *, step, **_: applied.append(step.up_revision_id),
)
context.run_migrations()
