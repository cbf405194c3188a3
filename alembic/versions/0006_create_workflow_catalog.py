"""Create remediation_workflow_catalog: versions never change, one of each name is the latest."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None
loses = ("remediation_workflow_catalog",)

CHECKS = {
    "ck_workflow_status": "status IN ('active', 'disabled', 'deprecated', 'archived')",
    "ck_workflow_expected_rate": "expected_success_rate IS NULL OR expected_success_rate BETWEEN 0 AND 1",
    "ck_workflow_actual_rate": "actual_success_rate IS NULL OR actual_success_rate BETWEEN 0 AND 1",
    "ck_workflow_executions": "total_executions >= 0",
    "ck_workflow_successes": "successful_executions >= 0 AND successful_executions <= total_executions",
    "ck_workflow_label_shapes": (
        "jsonb_typeof(labels) = 'object' AND jsonb_typeof(custom_labels) = 'object'"
        " AND jsonb_typeof(detected_labels) = 'object'"
    ),
}

# Name: columns, and what else there is to say.
INDEXES = {
    "latest_by_name": (["workflow_name"], {"unique": True, "where": "is_latest_version = true"}),
    "workflow_name": (["workflow_name"], {}),
    "search": (
        ["(labels ->> 'signal_type')", "(labels ->> 'severity')"],
        {"where": "is_latest_version = true"},
    ),
    "status": (["status"], {}),
    "created_at": (["created_at DESC", "workflow_id"], {}),
    "labels": (["labels"], {"using": "gin"}),
    "custom_labels": (["custom_labels"], {"using": "gin"}),
    "detected_labels": (["detected_labels"], {"using": "gin"}),
    "success_rate": (["actual_success_rate DESC"], {"where": "status = 'active'"}),
    "container_digest": (["container_digest"], {"where": "container_digest IS NOT NULL"}),
}

# Rows compare as wholes, so that a NULL is a value like any other. The constraint name tells the refusal from
# a violation that PostgreSQL found itself.
TRIGGERS = """
CREATE FUNCTION update_workflow_catalog_updated_at() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.updated_at := clock_timestamp();
    RETURN NEW;
END
$$;

CREATE TRIGGER trigger_workflow_catalog_updated_at BEFORE UPDATE ON remediation_workflow_catalog
FOR EACH ROW EXECUTE FUNCTION update_workflow_catalog_updated_at();

CREATE FUNCTION prevent_workflow_catalog_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'identity, content and labels of a workflow never change'
        USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = TG_NAME, TABLE = TG_TABLE_NAME,
              HINT = 'Create a new version.';
END
$$;

CREATE TRIGGER trigger_workflow_catalog_immutable BEFORE UPDATE ON remediation_workflow_catalog
FOR EACH ROW WHEN (
    (OLD.workflow_id, OLD.workflow_name, OLD.version, OLD.name, OLD.description, OLD.content,
     OLD.content_hash, OLD.labels, OLD.custom_labels, OLD.detected_labels)
    IS DISTINCT FROM
    (NEW.workflow_id, NEW.workflow_name, NEW.version, NEW.name, NEW.description, NEW.content,
     NEW.content_hash, NEW.labels, NEW.custom_labels, NEW.detected_labels)
) EXECUTE FUNCTION prevent_workflow_catalog_change();
"""

GRANTS = """
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'datastorage_app') THEN
        REVOKE ALL ON remediation_workflow_catalog FROM datastorage_app;
        GRANT SELECT, INSERT, UPDATE ON remediation_workflow_catalog TO datastorage_app;
    END IF;
END
$$;
"""


def upgrade() -> None:
    instant = sa.DateTime(timezone=True)
    document = postgresql.JSONB()
    now = sa.func.clock_timestamp()
    op.create_table(
        "remediation_workflow_catalog",
        sa.Column("workflow_id", sa.Uuid(), server_default=sa.func.gen_random_uuid()),
        sa.Column("workflow_name", sa.String(255), nullable=False),
        sa.Column("version", sa.String(50), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("owner", sa.String(255)),
        sa.Column("maintainer", sa.String(255)),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("content_hash", sa.String(64), nullable=False),
        sa.Column("parameters", document),
        sa.Column("execution_engine", sa.String(50), nullable=False, server_default="tekton"),
        sa.Column("container_image", sa.Text()),
        sa.Column("container_digest", sa.String(71)),
        sa.Column("labels", document, nullable=False, server_default="{}"),
        sa.Column("custom_labels", document, nullable=False, server_default="{}"),
        sa.Column("detected_labels", document, nullable=False, server_default="{}"),
        sa.Column("status", sa.String(20), nullable=False, server_default="active"),
        sa.Column("status_reason", sa.Text()),
        sa.Column("disabled_at", instant),
        sa.Column("disabled_by", sa.String(255)),
        sa.Column("disabled_reason", sa.Text()),
        sa.Column("is_latest_version", sa.Boolean(), nullable=False, server_default="false"),
        sa.Column("previous_version", sa.String(50)),
        sa.Column("deprecation_notice", sa.Text()),
        sa.Column("version_notes", sa.Text()),
        sa.Column("change_summary", sa.Text()),
        sa.Column("approved_by", sa.String(255)),
        sa.Column("approved_at", instant),
        sa.Column("expected_success_rate", sa.Numeric(4, 3)),
        sa.Column("expected_duration_seconds", sa.Integer()),
        sa.Column("actual_success_rate", sa.Numeric(4, 3)),
        sa.Column("total_executions", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("successful_executions", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("created_at", instant, nullable=False, server_default=now),
        sa.Column("updated_at", instant, nullable=False, server_default=now),
        sa.Column("created_by", sa.String(255)),
        sa.Column("updated_by", sa.String(255)),
        sa.PrimaryKeyConstraint("workflow_id", name="pk_remediation_workflow_catalog"),
        sa.UniqueConstraint("workflow_name", "version", name="uq_workflow_name_version"),
        *(sa.CheckConstraint(condition, name=op.f(name)) for name, condition in CHECKS.items()),
    )
    for name, (columns, options) in INDEXES.items():
        where = options.get("where")
        op.create_index(
            f"idx_workflow_catalog_{name}",
            "remediation_workflow_catalog",
            [sa.text(column) for column in columns],
            unique=options.get("unique", False),
            postgresql_using=options.get("using"),
            postgresql_where=sa.text(where) if where else None,
        )
    op.execute(TRIGGERS)
    op.execute(GRANTS)


def downgrade() -> None:
    op.drop_table("remediation_workflow_catalog")
    op.execute("DROP FUNCTION prevent_workflow_catalog_change()")
    op.execute("DROP FUNCTION update_workflow_catalog_updated_at()")
