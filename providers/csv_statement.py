# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Bank statements as CSV, in whatever form a bank exports them.

The settings say which column is what, by its name in the header or by its number. One
``bank_statement.content`` for each account of the file. With a column of balances,
opening and closing are known if the rows are a chain, oldest or newest first. Cells are
taken as text and never evaluated.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from ..contracts import (
    ContractError,
    Identifier,
    Text,
    parse_command,
    utc_text,
    validate,
)
from . import constants as const
from . import iso20022 as iso
from .base import Adapter, ParsedCommand, bounded_id, digest_id
from .tables import decoded, number, rows

#: A column by its name in the header, or by its number, the first being 1.
Column = Text | Annotated[int, Field(ge=1, le=const.CSV_MAX_COLUMNS)]

_DIRECTIVES = frozenset("dmyYbBHMS")
_DELIMITERS = {"comma": ",", "semicolon": ";", "tab": "\t", "pipe": "|"}


class CsvStatementOptions(iso.BankOptions):
    """Settings of one bank's CSV.

    :ivar account: IBAN or number, where no column has it.
    :ivar currency: of the account, where no column has it.
    :ivar skip_rows: lines before the header, or before the first row without one.
    :ivar header: whether a line with the names of the columns comes first.
    :ivar amount: column of the signed amount; or give ``debit`` and ``credit``.
    :ivar direction: column that says whether the amount is a debit.
    :ivar debit_words: what stands there for a debit: ``Af``, ``D``, ``Debit``.
    :ivar invert: whether the sign of ``amount`` is the other way round.
    :ivar description: columns of the text, joined.
    :ivar date_format: ``%d.%m.%Y``, directives d m y Y b B H M S only.
    :ivar decimal: what stands before the cents.
    :ivar thousands: what stands between groups of three digits.
    """

    account: Identifier | None = None
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] | None = None
    encoding: Literal[
        "utf-8", "utf-16", "iso-8859-1", "iso-8859-15", "windows-1252", "windows-1250"
    ] = "utf-8"
    delimiter: Literal["comma", "semicolon", "tab", "pipe"] = "comma"
    quote: Literal['"', "'", ""] = '"'
    skip_rows: Annotated[int, Field(ge=0, le=const.CSV_MAX_SKIPPED)] = 0
    header: bool = True
    date: Column
    value_date: Column | None = None
    amount: Column | None = None
    debit: Column | None = None
    credit: Column | None = None
    direction: Column | None = None
    debit_words: Annotated[list[Text], Field(max_length=20)] = []
    invert: bool = False
    account_column: Column | None = None
    currency_column: Column | None = None
    description: Annotated[list[Column], Field(max_length=10)] = []
    counterparty: Column | None = None
    counterparty_account: Column | None = None
    reference: Column | None = None
    end_to_end_id: Column | None = None
    bank_code: Column | None = None
    balance: Column | None = None
    date_format: Annotated[str, Field(min_length=2, max_length=32)] = "%Y-%m-%d"
    decimal: Literal[".", ","] = "."
    thousands: Literal["", ".", ",", "'", "’"] = ""

    @field_validator("date_format")
    @classmethod
    def _check_format(cls, value: str) -> str:
        directives = value.split("%")[1:]
        if not directives or any(part[:1] not in _DIRECTIVES for part in directives):
            raise ValueError(
                "Write the format of dates with %d, %m, %b, %B, %y, %Y, %H, %M and %S, "
                "such as %d.%m.%Y."
            )
        return value

    @model_validator(mode="after")
    def _check_columns(self):
        if (self.amount is None) == (self.debit is None and self.credit is None):
            raise ValueError(
                "Name the column of the amount, or those of debit and credit."
            )
        if self.direction is not None and not self.debit_words:
            raise ValueError("Say in debit_words what stands there for a debit.")
        if self.account is None and self.account_column is None:
            raise ValueError("Name the account, or the column that has it.")
        if self.currency is None and self.currency_column is None:
            raise ValueError("Name the currency, or the column that has it.")
        if self.decimal == self.thousands:
            raise ValueError("decimal and thousands have to differ.")
        if not self.header and any(
            isinstance(column, str) for column in _columns(self).values()
        ):
            raise ValueError("Without a header, columns are given by their numbers.")
        return self


_COLUMNS = (
    "date",
    "value_date",
    "amount",
    "debit",
    "credit",
    "direction",
    "account_column",
    "currency_column",
    "counterparty",
    "counterparty_account",
    "reference",
    "end_to_end_id",
    "bank_code",
    "balance",
)


def _columns(settings: CsvStatementOptions) -> dict[str, str | int]:
    """Return the columns that are set, those of the text numbered."""
    found = {
        name: column
        for name in _COLUMNS
        if (column := getattr(settings, name)) is not None
    }
    for place, column in enumerate(settings.description):
        found[f"description {place}"] = column
    return found


def _tidy(name: str) -> str:
    return " ".join(name.split()).casefold()


@dataclass(slots=True)
class _Line:
    number: int
    account: str
    currency: str
    values: dict[str, Any]
    amount: Decimal
    balance: Decimal | None
    day: date


class _Table:
    """The rows of a file, read by the settings."""

    def __init__(self, text: str, settings: CsvStatementOptions):
        self.settings = settings
        self.faults: list[str] = []
        self.places: dict[str, int] = {}
        self.width = 0
        self.lines: list[_Line] = []
        self._read(text)
        if self.faults:
            more = len(self.faults) - const.FAULTS_MAX_COUNT
            told = self.faults[: const.FAULTS_MAX_COUNT]
            if more > 0:
                told.append(f"… and {more} more.")
            raise ContractError(
                "The file can't be read by the format's settings.",
                [{"pointer": "", "message": fault} for fault in told],
            )

    def _read(self, text: str) -> None:
        settings = self.settings
        delimiter = _DELIMITERS[settings.delimiter]
        seen = False
        for line, cells in rows(
            text, delimiter, settings.quote or None, settings.skip_rows
        ):
            if not seen:
                seen = True
                self.width = len(cells)
                self._place(cells)
                if settings.header:
                    continue
            if len(cells) > self.width and any(
                cell.strip() for cell in cells[self.width :]
            ):
                self.faults.append(
                    f"Line {line} has {len(cells)} cells, but there are {self.width} "
                    "columns."
                )
                continue
            self._line(line, cells)
        if not seen:
            raise ContractError("The file has no rows.")

    def _place(self, cells: list[str]) -> None:
        """Find the columns in the first row."""
        names: dict[str, int] = {}
        for place, name in enumerate(cells):
            names.setdefault(_tidy(name), place)
        for what, column in _columns(self.settings).items():
            if isinstance(column, int):
                if column > self.width:
                    raise ContractError(
                        f"There is no column {column}: the file has {self.width}."
                    )
                self.places[what] = column - 1
            elif _tidy(column) in names:
                self.places[what] = names[_tidy(column)]
            else:
                raise ContractError(
                    f"The file has no column “{column}”. Correct the settings, or "
                    "skip_rows if the header comes later."
                )

    def _line(self, line: int, cells: list[str]) -> None:
        def cell(what: str) -> str:
            place = self.places.get(what)
            if place is None or place >= len(cells):
                return ""
            return cells[place].strip()

        try:
            self.lines.append(self._parsed(line, cell))
        except ValueError as error:
            self.faults.append(f"Line {line}: {error}")

    def _parsed(self, line: int, cell) -> _Line:
        settings = self.settings
        day = self._day(cell("date"), "date")
        value = cell("value_date")
        account = iso.identifier(cell("account_column")) or settings.account
        currency = cell("currency_column").upper() or settings.currency
        if not account or not currency:
            raise ValueError("there is no account or no currency.")
        values = {
            "booking_date": day.isoformat(),
            "value_date": self._day(value, "value_date").isoformat() if value else None,
            "entry_ref": iso.identifier(cell("reference")),
            "end_to_end_id": iso.identifier(cell("end_to_end_id")),
            "counterparty_name": iso.line(cell("counterparty")),
            "counterparty_account": iso.identifier(cell("counterparty_account")),
            "bank_code": iso.identifier(cell("bank_code")),
            "remittance": iso.words(
                [cell(what) for what in self.places if what.startswith("description")]
            ),
        }
        amount = self._amount(cell)
        balance = cell("balance")
        return _Line(
            number=line,
            account=account,
            currency=currency,
            values={
                **{name: found for name, found in values.items() if found is not None},
                "amount": iso.plain(amount),
            },
            amount=amount,
            balance=self._number(balance, "balance") if balance else None,
            day=day,
        )

    def _day(self, text: str, what: str) -> date:
        try:
            return datetime.strptime(text, self.settings.date_format).date()  # noqa: DTZ007
        except ValueError:
            raise ValueError(
                f"{what} is no date of the form {self.settings.date_format}."
            ) from None

    def _number(self, text: str, what: str) -> Decimal:
        try:
            return number(text, self.settings.decimal, self.settings.thousands)
        except ValueError as error:
            raise ValueError(f"{what}: {error}") from None

    def _amount(self, cell) -> Decimal:
        settings = self.settings
        if settings.amount is not None:
            amount = self._number(cell("amount"), "amount")
            if settings.invert:
                amount = -amount
            if settings.direction is not None:
                words = {_tidy(word) for word in settings.debit_words}
                if _tidy(cell("direction")) in words:
                    amount = -abs(amount)
            return amount
        debit, credit = cell("debit"), cell("credit")
        if not debit and not credit:
            raise ValueError("there is neither a debit nor a credit.")
        taken = abs(self._number(debit, "debit")) if debit else Decimal(0)
        given = self._number(credit, "credit") if credit else Decimal(0)
        return given - taken


def _chain(lines: list[_Line]) -> tuple[list[_Line], Decimal | None, Decimal | None]:
    """Return the lines, oldest first, with opening and closing balance.

    The balances are told only where they make a chain in one order or the other.
    """
    for ordered in (lines, lines[::-1]):
        chained = all(line.balance is not None for line in ordered) and all(
            ordered[place].balance + line.amount == line.balance
            for place, line in enumerate(ordered[1:])
        )
        if chained and ordered[0].day <= ordered[-1].day:
            first = ordered[0]
            return ordered, first.balance - first.amount, ordered[-1].balance
    if lines[0].day > lines[-1].day:
        lines = lines[::-1]
    return lines, None, None


def _command(
    account: str,
    currency: str,
    lines: list[_Line],
    settings: CsvStatementOptions,
    digest: str,
) -> ParsedCommand:
    ordered, opening, closing = _chain(lines)
    start = min(line.day for line in ordered)
    end = max(line.day for line in ordered)
    # The file has no id, and its bytes are its own.
    reference = f"csv-{digest[:16]}"
    created = iso.end_of(end, iso.zone(settings.timezone))
    data = {
        "account": account,
        "account_currency": currency,
        "statement_ref": reference,
        "format": "csv",
        "sha256": digest,
        "from_date": start.isoformat(),
        "to_date": end.isoformat(),
        "created_at": utc_text(created),
        "entries": [line.values for line in ordered],
    }
    if opening is not None and closing is not None:
        data["opening"] = iso.plain(opening)
        data["closing"] = iso.plain(closing)
        data["opening_date"] = start.isoformat()
    return ParsedCommand(
        type="bank_statement.content",
        external_id=bounded_id(f"{reference}:{account}:{currency}"),
        occurred_at=created,
        data=parse_command("bank_statement.content", data).wire(),
    )


def parse(
    headers: Mapping, body: bytes, options: Mapping[str, Any] | None = None
) -> list[ParsedCommand]:
    """Return one ``bank_statement.content`` for each account of a file.

    :param options: of :class:`CsvStatementOptions`; without them nothing can be read.
    :raises ContractError: ``D-SCHEMA``, naming the lines that can't be read. Nothing
        else is raised, whatever arrives.
    """
    settings = validate(
        CsvStatementOptions, dict(options or {}), "The format's settings"
    )
    table = _Table(decoded(body, settings.encoding), settings)
    accounts: dict[tuple[str, str], list[_Line]] = {}
    for line in table.lines:
        accounts.setdefault((line.account, line.currency), []).append(line)
    if not accounts:
        raise ContractError("The file has no rows below its header.")
    digest = hashlib.sha256(body).hexdigest()
    return [
        _command(account, currency, lines, settings, digest)
        for (account, currency), lines in accounts.items()
    ]


def external_id(headers: Mapping, body: bytes) -> str:
    """Return the digest of the bytes: such a file has no id. Never raises."""
    return digest_id(body)


ADAPTER = Adapter(
    name="csv_statement",
    title="Bank statements (CSV)",
    parse=parse,
    external_id=external_id,
    options_model=CsvStatementOptions,
    max_bytes=const.FILE_MAX_BYTES,
)
