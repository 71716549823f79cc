"""A new migration from what the tables say now: `python -m tests.support.new_migration NAME`."""

from __future__ import annotations

import re
import sys
import tempfile
from pathlib import Path

from alembic import command
from alembic.script import ScriptDirectory

from agegate.adapters.db.engine import open_engine
from agegate.adapters.db.migrating import configuration, migrate
from agegate.adapters.db.revisions import scripts_folder


def main(name: str) -> int:
    """Write the next numbered file and print its path. It is a draft: read it, give it a test."""
    slug = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
    config = configuration()
    known = [r.revision for r in ScriptDirectory.from_config(config).walk_revisions()]
    number = max((int(r) for r in known if r.isdigit()), default=0) + 1
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder) / 'head.db'}"
        migrate(url)
        engine = open_engine(url, autocommit=False)
        with engine.connect() as connection:
            config.attributes["connection"] = connection
            config.set_main_option("file_template", "%%(rev)s_%%(slug)s")
            script = command.revision(
                config, message=slug, autogenerate=True, rev_id=f"{number:04}"
            )
        engine.dispose()
    assert script is not None
    assert not isinstance(script, list)
    (scripts_folder() / ".head").write_text(f"{script.revision}\n", encoding="utf-8")
    print(script.path)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
