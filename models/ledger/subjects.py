"""How other systems name records of the books: ``<object>/<id>``, or the number."""

from ..capture.payload import OBJECTS

# Objects of events and commands that are records of one model; documents are told
# apart by their type.
MODELS = {
    "payment": "account.payment",
    "counterparty": "res.partner",
    "credit": "res.partner",
    "posting_request": "finance.posting.request",
    "compensation": "finance.compensation",
    "command": "finance.command",
    "approval": "finance.approval",
    "process_step": "finance.process.step",
    # As requests named it that were made before it had a name of its own.
    "finance.process.step": "finance.process.step",
    "purchase_order": "purchase.order",
    "expense": "hr.expense",
    "order": "sale.order",
}
DOCUMENTS = {*OBJECTS.values(), "journal_entry"}
_OBJECT_OF = {
    "account.payment": "payment",
    "res.partner": "counterparty",
    "finance.posting.request": "posting_request",
    "finance.compensation": "compensation",
    "finance.command": "command",
    "finance.process.step": "process_step",
    "purchase.order": "purchase_order",
    "hr.expense": "expense",
    "sale.order": "order",
}


def subject_of(record):
    """Return how events name a record: ``invoice/1042``."""
    if record._name == "account.move":
        return f"{OBJECTS.get(record.move_type, 'journal_entry')}/{record.id}"
    return f"{_OBJECT_OF.get(record._name, record._name)}/{record.id}"


def document_key(text):
    """Return the key by which commands wait for a document.

    :param str text: its number, or ``<object>/<id>``
    """
    return f"document:{text}"


def find_subject(env, company, text):
    """Return the record that another system speaks of, an empty recordset if none.

    Only records of the company, or shared by all companies, are found.

    :param company: in which the other system works
    :param str text: ``<object>/<id>`` as in the event that asked, or the number of a
        document or payment
    """
    model, record_id = _parse(text)
    if model:
        if model not in env:
            return env["account.move"].browse()
        record = env[model].browse(record_id).exists()
        if record and not _is_of(record, company, text):
            return record.browse()
        return record
    return _by_number(env, company, text)


def _parse(text):
    kind, _slash, number = text.partition("/")
    # Ids of PostgreSQL: nothing longer is looked up.
    if not (number.isascii() and number.isdigit() and len(number) <= 9):
        return None, None
    if kind in DOCUMENTS:
        return "account.move", int(number)
    return MODELS.get(kind), int(number)


def _is_of(record, company, text):
    if record._name == "account.move":
        # “invoice/7” is no entry that happens to have this number.
        return record.company_id == company and subject_of(record) == text
    own = record.company_id if "company_id" in record._fields else None
    return not own or own == company


def _by_number(env, company, text):
    within = [("company_id", "=", company.id), ("name", "=", text)]
    for model in ("account.move", "account.payment", "sale.order", "purchase.order"):
        if model not in env:
            continue
        found = env[model].search(within, limit=2)
        if found:
            # A payment and its entry have one number: the payment is meant.
            payment = found.origin_payment_id if model == "account.move" else None
            return payment or found[:1]
    return env["account.move"].browse()
