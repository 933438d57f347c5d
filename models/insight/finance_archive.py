import gzip
import hashlib
import io
import json
from pathlib import Path

from odoo import api, fields, models
from odoo.exceptions import UserError

from .. import clock, constants
from ..access import require_group
from ..archives import archive_folder, write_durably

FORMAT = "finance-hub-archive/1"
KINDS = [
    ("attempt", "Attempts"),
    ("delivery", "Deliveries"),
    ("batch", "Batches"),
    ("event", "Events"),
    ("message", "Content of Messages"),
]
READERS = (constants.GROUP_ADMINISTRATOR, constants.GROUP_AUDITOR)

# One row as JSON, with every column; bytes stand as base64.
ROWS = {
    "attempt": """
        SELECT to_jsonb(t)::text FROM finance_attempt t WHERE id = ANY(%s) ORDER BY id
    """,
    "delivery": """
        SELECT to_jsonb(t)::text FROM finance_delivery t WHERE id = ANY(%s) ORDER BY id
    """,
    "batch": """
        SELECT to_jsonb(t)::text FROM finance_batch t WHERE id = ANY(%s) ORDER BY id
    """,
    "event": """
        SELECT to_jsonb(t)::text FROM finance_event t WHERE id = ANY(%s) ORDER BY id
    """,
    "message": """
        SELECT (to_jsonb(t) || jsonb_build_object(
                'body', encode(t.body, 'escape')))::text
          FROM finance_message t WHERE id = ANY(%s) ORDER BY id
    """,
}


class FinanceArchive(models.Model):
    """Rows that were removed from the database, in a file with a manifest.

    JSON Lines, compressed by gzip: one row a line, every column. The manifest tells
    how many there are and their digests, so that a file can be checked years later.
    """

    _name = "finance.archive"
    _description = "Finance Archive"
    _inherit = ["mail.thread"]
    _order = "id desc"

    name = fields.Char(string="File", required=True, readonly=True)
    kind = fields.Selection(KINDS, required=True, readonly=True)
    company_id = fields.Many2one("res.company", required=True, readonly=True)
    row_count = fields.Integer(string="Rows", required=True, readonly=True)
    first_id = fields.Integer(readonly=True, aggregator=False)
    last_id = fields.Integer(readonly=True, aggregator=False)
    from_at = fields.Datetime(string="From", readonly=True)
    to_at = fields.Datetime(string="To", readonly=True)
    size = fields.Integer(string="Bytes", readonly=True)
    sha256 = fields.Char(string="SHA-256", required=True, readonly=True)
    line_id = fields.Many2one(
        "finance.purge.line",
        string="Written By",
        readonly=True,
        index="btree_not_null",
        ondelete="restrict",
    )
    manifest = fields.Json(string="Manifest (raw)", readonly=True)
    manifest_text = fields.Text(string="Manifest", compute="_compute_manifest_text")
    attachment_id = fields.Many2one("ir.attachment", readonly=True, ondelete="restrict")
    path = fields.Char(
        string="Kept in",
        readonly=True,
        help="The file's place on the server; empty when Odoo keeps it itself.",
    )

    # === COMPUTES === #

    @api.depends("manifest")
    def _compute_manifest_text(self):
        for archive in self:
            archive.manifest_text = archive._manifest_json()

    def _manifest_json(self):
        return json.dumps(self.manifest or {}, indent=2, ensure_ascii=False)

    # === CRUD === #

    @api.ondelete(at_uninstall=False)
    def _unlink_never(self):
        raise UserError(self.env._("An archive is all that is left; it is kept."))

    # === ACTIONS === #

    def action_download(self):
        """Hand out the file, once it is seen to be what was written."""
        return self._action_url("data")

    def action_download_manifest(self):
        """Hand out the manifest."""
        return self._action_url("manifest")

    def action_verify(self):
        """Compare the files with their digests."""
        require_group(self.env, *READERS)
        self.check_access("read")
        for archive in self:
            archive.sudo()._content()
        return {
            "type": "ir.actions.client",
            "tag": "display_notification",
            "params": {
                "type": "success",
                "message": self.env._(
                    "Unchanged: %s files agree with their digests.", len(self)
                ),
            },
        }

    def _action_url(self, part):
        self.ensure_one()
        require_group(self.env, *READERS)
        self.check_access("read")
        return {
            "type": "ir.actions.act_url",
            "url": f"/finance_hub/archives/{self.id}/{part}",
            "target": "download",
        }

    # === BUSINESS METHODS === #

    def _content(self):
        """Return the file.

        :raise UserError: when it is gone or not what was written
        """
        self.ensure_one()
        try:
            content = (
                Path(self.path).read_bytes() if self.path else self.attachment_id.raw
            )
        except OSError as error:
            raise UserError(
                self.env._(
                    "The file %(path)s can't be read: %(error)s",
                    path=self.path,
                    error=error.strerror,
                )
            ) from error
        if hashlib.sha256(content or b"").hexdigest() != self.sha256:
            raise UserError(
                self.env._(
                    "The file %s is not what was archived: its digest differs. Keep "
                    "it as evidence and restore it from a backup.",
                    self.name,
                )
            )
        return content

    @api.model
    def _store(self, kind, company, ids, moments, line=None):
        """Write rows to a file, as many as it takes.

        :param str kind: one of ``KINDS``
        :param ids: of the rows, in ascending order
        :param moments: {id: when it happened}, naive UTC
        :param line: the ``finance.purge.line`` that tells of it
        :return: the ids that were written, from the beginning of ``ids``
        """
        written, content, digest = self._compress(kind, ids)
        if not written:
            return written
        happened = [moments[row_id] for row_id in written]
        file_digest = hashlib.sha256(content).hexdigest()
        name = (
            f"{kind}-{min(happened):%Y%m%d}-{max(happened):%Y%m%d}"
            f"-{written[0]}-{written[-1]}.jsonl.gz"
        )
        parameters = self.env["ir.config_parameter"].sudo()
        manifest = {
            "format": FORMAT,
            "file": name,
            "kind": kind,
            "database": parameters.get_param("database.uuid"),
            "company": {"id": company.id, "name": company.name},
            "count": len(written),
            "first_id": written[0],
            "last_id": written[-1],
            "from": f"{min(happened).isoformat()}Z",
            "to": f"{max(happened).isoformat()}Z",
            "archived_at": f"{clock.naive_now().isoformat()}Z",
            "bytes": len(content),
            "sha256": file_digest,
            "content_sha256": digest,
        }
        archive = self.create(
            {
                "name": name,
                "kind": kind,
                "company_id": company.id,
                "row_count": len(written),
                "first_id": written[0],
                "last_id": written[-1],
                "from_at": min(happened),
                "to_at": max(happened),
                "size": len(content),
                "sha256": file_digest,
                "manifest": manifest,
                "line_id": line.id if line else False,
            }
        )
        archive._keep(content)
        self.env["finance.privacy.index"]._archived(kind, written, archive)
        return written

    def _compress(self, kind, ids):
        """Return (ids written, the file, digest of what is in it)."""
        buffer, digest, size = io.BytesIO(), hashlib.sha256(), 0
        written = []
        # No time in the header: the same rows give the same file.
        with gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0) as file:
            for start in range(0, len(ids), constants.ARCHIVE_READ_ROWS):
                chunk = ids[start : start + constants.ARCHIVE_READ_ROWS]
                self.env.cr.execute(ROWS[kind], [chunk])
                for (line,) in self.env.cr.fetchall():
                    raw = line.encode() + b"\n"
                    file.write(raw)
                    digest.update(raw)
                    size += len(raw)
                written += chunk
                if size >= constants.ARCHIVE_MAX_BYTES:
                    break
        return written, buffer.getvalue(), digest.hexdigest()

    def _keep(self, content):
        """Put the file where it is to stay, before its rows are removed."""
        self.ensure_one()
        folder = archive_folder()
        if folder is None:
            self.attachment_id = self.env["ir.attachment"].create(
                {
                    "name": self.name,
                    "raw": content,
                    "mimetype": "application/gzip",
                    "res_model": self._name,
                    "res_id": self.id,
                }
            )
            return
        path = (
            folder
            / self.env.cr.dbname
            / f"company-{self.company_id.id}"
            / f"{self.id}-{self.name}"
        )
        write_durably(path, content)
        write_durably(
            path.with_name(f"{path.name}.manifest.json"),
            self._manifest_json().encode(),
        )
        self.path = str(path)
