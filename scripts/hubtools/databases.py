"""Databases and the templates they are copied from.

Installing Odoo's modules takes most of a test run, and its outcome depends only on
Odoo and the lock file. So it is done once, into a template named after a digest of
those, and every database starts as a copy. A template is built under another name
and renamed at the end: an interrupted one is never used.
"""

import os
import shutil
from pathlib import Path

from .cluster import Cluster
from .console import note, step
from .odoo import OdooRole
from .provision import digest
from .settings import (
    ADDON,
    CHART_OF_ACCOUNTS,
    TEMPLATE_MODULES,
    TEMPLATE_PREFIX,
    Settings,
)

#: The tools' own files do not change what an installed addon puts in a database.
_NOT_INSTALLED = {
    ".ci",
    ".git",
    ".hub",
    ".hypothesis",
    ".pytest_cache",
    ".ruff_cache",
    "__pycache__",
    "benchmarks",
    "build",
    "dist",
    "node_modules",
    "readme",
    "requirements",
    "scripts",
    "tests",
}

#: Loads the chart of accounts, where the installation did not do it by itself,
#: and with demo data, the demo invoices, bills and payments that go with it.
_CHART_LINE = "chart of accounts:"
_LOAD_CHART = """
company = env.ref("base.main_company")
if not company.chart_template:
    env["account.chart.template"].try_loading(
        {chart!r}, company=company, install_demo={demo!r}
    )
    env.cr.commit()
company.invalidate_recordset()
moves = env["account.move"].search_count([("company_id", "=", company.id)])
print({line!r}, company.chart_template, "- journal entries:", moves)
if not company.chart_template:
    raise SystemExit(1)
"""

#: As the tests call it.
TEST_COMPANY = "company_1_data"
# A company with a chart of accounts, as Odoo's own test classes make one for each.
_TEST_COMPANY = """
company = env["res.company"].create({{"name": {name!r}}})
env["account.chart.template"].try_loading(
    {chart!r}, company=company, install_demo=False
)
company.account_fiscal_country_id = company.account_fiscal_country_id or env.ref(
    "base.us"
)
env.cr.commit()
"""


def addon_digest(settings: Settings) -> str:
    """A digest of the addon's files, those that a database can depend on."""
    parts: list[str | Path] = []
    for folder, folders, files in os.walk(settings.root):
        folders[:] = sorted(name for name in folders if name not in _NOT_INSTALLED)
        top = Path(folder) == settings.root
        for name in ("__init__.py", "__manifest__.py") if top else sorted(files):
            path = Path(folder) / name
            if path.is_file() and not name.endswith(".pyc"):
                parts += [str(path.relative_to(settings.root)), path]
    return digest(*parts)


class Databases:
    """Makes, copies and drops the databases of one role's Odoo."""

    def __init__(self, settings: Settings):
        self.settings = settings
        self.cluster = Cluster(settings)

    # === TEMPLATES === #
    def _platform(self) -> list[str | Path]:
        """What a database without the addon depends on."""
        return [
            *TEMPLATE_MODULES,
            _LOAD_CHART,
            _TEST_COMPANY,
            str(self.settings.odoo or ""),
            self.settings.requirements("run"),
        ]

    def platform_template(self, *, demo: bool, chart: bool) -> str:
        """The template with Odoo's accounting and queue_job, without the addon.

        :param demo: with Odoo's demo data
        :param chart: with a chart of accounts for the main company
        :return: its name
        """
        kind = f"{'demo' if demo else 'plain'}{'_chart' if chart else ''}"
        name = f"{TEMPLATE_PREFIX}{digest(kind, *self._platform())[:10]}"
        if name in self.cluster.databases():
            return name
        with step(f"Template database with {', '.join(TEMPLATE_MODULES)} ({kind})"):
            role = self._build_role(name)
            self._forget(role.database)
            options = ["--with-demo"] if demo else []
            role.run(
                "--init", ",".join(TEMPLATE_MODULES), *options, what="installing Odoo"
            )
            if chart:
                output = role.shell(
                    _LOAD_CHART.format(
                        chart=CHART_OF_ACCOUNTS, demo=demo, line=_CHART_LINE
                    ),
                    what="loading the chart of accounts",
                )
                for line in output.splitlines():
                    if line.startswith(_CHART_LINE):
                        note(line)
            self._adopt(role, name)
        return name

    def test_template(self) -> str:
        """The template of the addon's tests: that without demo data, and a company.

        Making a chart of accounts is half of what setting up a test class takes.

        :return: its name
        """
        base = self.platform_template(demo=False, chart=False)
        name = f"{TEMPLATE_PREFIX}{digest('tests', *self._platform())[:10]}"
        if name in self.cluster.databases():
            return name
        with step("Template database of the tests"):
            role = self._build_role(name)
            self._forget(role.database)
            self.copy(base, role.database, role)
            script = _TEST_COMPANY.format(chart=CHART_OF_ACCOUNTS, name=TEST_COMPANY)
            role.shell(script, what="making the company of the tests")
            self._adopt(role, name)
        return name

    def addon_template(self) -> str:
        """The template with demo data, a chart of accounts and the addon.

        :return: its name
        """
        mark = digest(addon_digest(self.settings), *self._platform())[:10]
        name = f"{TEMPLATE_PREFIX}demo_{mark}"
        if name in self.cluster.databases():
            return name
        base = self.platform_template(demo=True, chart=True)
        with step(f"Template database with {ADDON} and demo data"):
            role = self._build_role(name)
            self._forget(role.database)
            self.copy(base, role.database, role)
            role.run("--init", ADDON, "--with-demo", what=f"installing {ADDON}")
            self._adopt(role, name)
            # Those of older states of the code are of no use any more.
            for old in self.cluster.databases():
                if old.startswith(f"{TEMPLATE_PREFIX}demo_") and old != name:
                    self._forget(old)
        return name

    def _build_role(self, name: str) -> OdooRole:
        return OdooRole(
            self.settings,
            "template",
            f"building_{name.removeprefix(TEMPLATE_PREFIX)}",
            self.settings.system_port,
            "HUB_SYSTEM_PORT",
            workers=0,
        )

    def _adopt(self, role: OdooRole, name: str) -> None:
        """Give a finished template its name."""
        built = self.file_store("template", role.database)
        target = self.file_store("template", name)
        shutil.rmtree(target, ignore_errors=True)
        if built.exists():
            built.replace(target)
        self.cluster.rename(role.database, name)

    # === DATABASES === #
    def file_store(self, role: str, database: str) -> Path:
        return self.settings.data(role) / "filestore" / database

    def copy(self, template: str, database: str, role: OdooRole) -> None:
        """Make a role's database anew as a copy of a template."""
        target = self.file_store(role.name, database)
        shutil.rmtree(target, ignore_errors=True)
        source = self.file_store("template", template)
        if source.exists():
            # Attachments never change once they are written: links will do.
            shutil.copytree(source, target, copy_function=os.link)
        self._hand_on_keys(role)
        self.cluster.copy(template, database)
        # Two databases must not pass for one: identifiers are derived from this.
        self.cluster.sql(
            "UPDATE ir_config_parameter SET value = gen_random_uuid() "
            "WHERE key IN ('database.uuid', 'database.secret')",
            database,
        )

    def _key_file(self, role: str) -> Path:
        return self.settings.data(role) / "finance_hub" / "encryption.keys"

    def _hand_on_keys(self, role: OdooRole) -> None:
        """Let a role read what a template was written with, its audit trail above all.

        A trail whose key is missing is not trusted.
        """
        source, target = self._key_file("template"), self._key_file(role.name)
        if role.name == "template" or not source.exists():
            return
        known = target.read_text().splitlines() if target.exists() else []
        keys = dict.fromkeys([*known, *source.read_text().splitlines()])
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        target.touch(mode=0o600)
        target.write_text("\n".join(keys) + "\n")

    def drop(self, database: str, role: OdooRole) -> None:
        """Drop a role's database and its files."""
        self.cluster.drop(database)
        shutil.rmtree(self.file_store(role.name, database), ignore_errors=True)

    def _forget(self, template: str) -> None:
        self.cluster.drop(template)
        shutil.rmtree(self.file_store("template", template), ignore_errors=True)
