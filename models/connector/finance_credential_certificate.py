from datetime import timedelta

from odoo import api, fields, models
from odoo.exceptions import ValidationError

from ...transport import check_pair, read_certificate
from .. import clock, constants


class FinanceCredential(models.Model):
    """Client certificates, and what is told before a credential expires."""

    _inherit = "finance.credential"

    certificate_pem = fields.Text(
        string="Certificate",
        copy=False,
        help="The certificate in PEM form, with the certificates of its chain behind "
        "it. Never the private key.",
    )
    certificate_subject = fields.Char(
        string="Issued To", readonly=True, copy=False, tracking=True
    )
    certificate_issuer = fields.Char(string="Issued By", readonly=True, copy=False)
    certificate_fingerprint = fields.Char(
        string="Fingerprint (SHA-256)", readonly=True, copy=False, tracking=True
    )

    # === EXPIRY === #

    def _read_certificates(self):
        """Show what the certificates of ``self`` say.

        :raise ValidationError: when one can't be read or does not fit its key
        """
        for credential in self:
            if credential.scheme != "client_certificate":
                continue
            pem = credential.certificate_pem
            values = {
                "certificate_subject": False,
                "certificate_issuer": False,
                "certificate_fingerprint": False,
                "expires_at": False,
            }
            try:
                if pem:
                    certificate = read_certificate(pem)
                    values = {
                        "certificate_subject": certificate.subject,
                        "certificate_issuer": certificate.issuer,
                        "certificate_fingerprint": certificate.fingerprint,
                        "expires_at": clock.naive(certificate.valid_until),
                    }
                for key in credential._secrets():
                    check_pair(pem or "", key)
            except ValueError as error:
                raise ValidationError(str(error)) from error
            if any(credential[name] != value for name, value in values.items()):
                # Comes by here once more and then finds nothing to do.
                credential.sudo().write(values)

    @api.model
    def _cron_expiring(self):
        """Open an exception for what expires soon, or has."""
        now = clock.naive_now()
        horizon = now + timedelta(days=constants.EXPIRY_NOTICES[0])
        for credential in self.search(
            [("state", "=", "active"), ("expires_at", "<=", horizon)]
        ):
            left = credential.expires_at - now
            notice = min(
                days
                for days in constants.EXPIRY_NOTICES
                if left <= timedelta(days=days)
            )
            credential._open_expiry(notice)

    def _open_expiry(self, notice):
        """Say once that the credential expires within ``notice`` days."""
        self.ensure_one()
        exceptions = self.env["finance.exception"].sudo()
        fingerprint = f"credential:{self.id}:{self.expires_at:%Y%m%d}:{notice}"
        # Whoever closed it has decided; the next notice is another one.
        if exceptions.search_count(
            [("fingerprint", "=", f"T-CERT-EXPIRING:{fingerprint}")], limit=1
        ):
            return
        self._close_expiry(force=True)
        day = fields.Date.to_string(self.expires_at.date())
        used_by = ", ".join(self.used_by_ids.mapped("name"))
        exceptions._open(
            "T-CERT-EXPIRING",
            company=self.company_id,
            record=self,
            connector=self.connector_id,
            fingerprint=fingerprint,
            summary=(
                self.env._("%(name)s expires on %(day)s", name=self.name, day=day)
                if notice
                else self.env._("%(name)s expired on %(day)s", name=self.name, day=day)
            ),
            cause=(
                self.env._(
                    "Used by: %s. Nothing can be delivered there without it.", used_by
                )
                if used_by
                else self.env._("No endpoint uses it at the moment.")
            ),
        )

    def _close_expiry(self, force=False):
        """Close the exceptions of what no longer expires soon."""
        horizon = clock.naive_now() + timedelta(days=constants.EXPIRY_NOTICES[0])
        renewed = self.filtered(
            lambda credential: (
                force
                or credential.state != "active"
                or not credential.expires_at
                or credential.expires_at > horizon
            )
        )
        if renewed:
            self.env["finance.exception"].sudo()._about(
                renewed, "T-CERT-EXPIRING"
            )._resolve(
                self.env._("Reported anew, as the day came nearer")
                if force
                else self.env._("The credential was renewed or ended")
            )
