# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""``odoo finance_audit``: verify or export the audit trail from the command line.

Odoo loads this file by itself, without the addon, when the command is called.
"""

# What a command line says goes to its user.
# pylint: disable=print-used
import argparse
import sys
from pathlib import Path

from odoo.cli import Command
from odoo.modules.registry import Registry
from odoo.tools import config


class FinanceAudit(Command):
    """Verify or export the audit trail of the Finance Integration Hub."""

    name = "finance_audit"

    def run(self, arguments):
        parser = argparse.ArgumentParser(
            prog=f"{Path(sys.argv[0]).name} {self.name}", description=self.__doc__
        )
        parser.add_argument("-c", "--config", help="Odoo's configuration file")
        parser.add_argument("-d", "--database", required=True)
        parser.add_argument(
            "--seal",
            type=Path,
            action="append",
            default=[],
            help="a seal that was exported and kept elsewhere; may be given again",
        )
        parser.add_argument(
            "--export",
            type=Path,
            metavar="FILE",
            help="also write the trail to this file, for scripts/audit_verify.py",
        )
        options, rest = parser.parse_known_args(arguments)
        if options.config:
            rest = [f"--config={options.config}", *rest]
        config.parse_config([*rest, f"--database={options.database}"])
        sys.exit(self._verify(options))

    def _verify(self, options):
        registry = Registry(options.database)
        if "finance.audit.seal" not in registry:
            print("The Finance Integration Hub is not installed there.")
            return 2
        from odoo.addons.finance_hub.models.audit.finance_audit_verification import (
            trail,
        )
        from odoo.addons.finance_hub.signing import (
            AuditChainError,
            import_seal,
            trail_line,
        )

        try:
            witnesses = [import_seal(path.read_bytes()) for path in options.seal]
        except (OSError, AuditChainError) as error:
            print(error)
            return 2
        if options.export:
            with options.export.open("wb") as file:
                report = trail(
                    registry,
                    lambda kind, content: file.write(trail_line(kind, content)),
                    witnesses,
                )
        else:
            report = trail(registry, None, witnesses)
        for finding in report.findings:
            print(f"{finding.code}: {finding.message}")
        print(
            f"{report.entries} entries, {report.seals} seals, {report.found} findings"
        )
        return 1 if report.found else 0
