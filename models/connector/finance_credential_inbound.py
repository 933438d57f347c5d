from odoo import fields, models

from ...signing.constants import (
    JWT_ALGORITHMS,
    JWT_DEFAULT_ALGORITHMS,
    TOLERANCE_SECONDS,
)


class FinanceCredential(models.Model):
    """How what the hub receives is verified."""

    _inherit = "finance.credential"

    inbound_header = fields.Char(
        string="Header",
        tracking=True,
        help="Name of the header that holds the signature, the key or the certificate, "
        "such as X-Signature.",
    )
    inbound_algorithm = fields.Selection(
        [("sha256", "HMAC-SHA256"), ("sha512", "HMAC-SHA512")],
        string="Hash",
        default="sha256",
        required=True,
        tracking=True,
    )
    inbound_encoding = fields.Selection(
        [
            ("hex", "Hexadecimal digits"),
            ("base64", "Base64"),
            ("base64url", "Base64 for URLs"),
        ],
        string="Signature Is Written In",
        default="hex",
        required=True,
        tracking=True,
    )
    inbound_secret_encoding = fields.Selection(
        [
            ("text", "Text, used as it is"),
            ("hex", "Hexadecimal digits"),
            ("base64", "Base64"),
        ],
        string="Secret Is Written In",
        default="text",
        required=True,
        tracking=True,
    )
    inbound_prefix = fields.Char(
        string="Prefix",
        tracking=True,
        help="What stands in the header before the signature, such as sha256= or v1=. "
        "Often nothing.",
    )
    inbound_template = fields.Char(
        string="What Is Signed",
        default="{body}",
        tracking=True,
        help="{body} stands for the content, {timestamp} and {id} for the values of "
        "their headers, {url} for the connector's address, {method} for POST. Write "
        "what the other side describes, such as {timestamp}.{body}.",
    )
    inbound_timestamp_header = fields.Char(
        string="Header of the Time",
        tracking=True,
        help="Name of the header with the time of signing. Left empty if the other "
        "side signs no time; then a copied message is known by its id alone.",
    )
    inbound_timestamp_format = fields.Selection(
        [
            ("seconds", "Unix seconds"),
            ("milliseconds", "Unix milliseconds"),
            ("iso8601", "ISO 8601, UTC (2026-01-31T12:00:00Z)"),
        ],
        string="Time Is Written In",
        default="seconds",
        required=True,
        tracking=True,
    )
    inbound_id_header = fields.Char(
        string="Header of the ID",
        tracking=True,
        help="Name of the header with the message's id, if it is signed along.",
    )
    inbound_tolerance = fields.Integer(
        string="Tolerance (Seconds)",
        default=TOLERANCE_SECONDS,
        required=True,
        tracking=True,
        help="How old a signature may be, and how far ahead the other side's clock.",
    )
    token_issuer = fields.Char(
        string="Issuer",
        tracking=True,
        help="Who gives the tokens out: the claim iss, exactly as it is written.",
    )
    token_algorithms = fields.Char(
        string="Algorithms",
        default=" ".join(JWT_DEFAULT_ALGORITHMS),
        tracking=True,
        help="What may sign a token, separated by blanks: some of "
        + ", ".join(JWT_ALGORITHMS)
        + ".",
    )
    token_claims = fields.Text(
        string="Required Claims",
        tracking=True,
        help="One name=value a line, such as sub=shop or scope=finance:write. A token "
        "without them is refused, though the issuer signed it.",
    )
    proxy_networks = fields.Char(
        string="Reverse Proxies",
        tracking=True,
        help="Addresses or networks of the reverse proxies that check client "
        "certificates, separated by commas, such as 10.0.0.5. A header from anywhere "
        "else proves nothing.",
    )
    proxy_form = fields.Selection(
        [
            ("fingerprint", "The SHA-256 fingerprint"),
            ("certificate", "The whole certificate"),
            ("subject", "The subject"),
        ],
        string="The Proxy Sends",
        default="fingerprint",
        required=True,
        tracking=True,
    )
