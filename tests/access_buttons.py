from odoo.exceptions import AccessError, UserError
from odoo.tools import mute_logger

from .common import GROUPS
from .test_access import ACTIONS, ASKING, COMMON, ON_THE_MODEL


class ButtonTests:
    """cap 89, 94: who may press what, in which company, whatever the views show."""

    def press(self, row, action, user):
        """Press a button; a decision other than “you may not” is no matter here.

        As in a request of its own: what is known of the row is asked for again.
        """
        if "wizard" in row._name:
            # A wizard is made by who uses it.
            self.env.flush_all()
            for made in (row, row.wizard_id if "wizard_id" in row else row):
                self.env.cr.execute(
                    f"UPDATE {made._table} SET create_uid = %s WHERE id = %s",
                    [user.id, made.id],
                )
        row.invalidate_recordset()
        try:
            if (row._name, action) in ON_THE_MODEL:
                row = row.browse()
            getattr(row.with_user(user), action)()
        except AccessError:
            raise
        except UserError:
            return False  # not now, in this state; the role was not the reason
        return True

    def is_refused(self, row, action, user):
        """Return whether somebody may not press a button, or not even see its row."""
        try:
            self.press(row, action, user)
        except AccessError:
            return True
        return False

    def test_buttons(self):
        """Pressed over RPC, whatever the view shows."""
        people = {group: self.users[group] for group in (*GROUPS, "nobody")}
        for model, actions in ACTIONS.items():
            for action, allowed in actions.items():
                with mute_logger("odoo.models"):
                    with self.undone():
                        # Who is refused leaves the row as it was for the next one.
                        row = self.row(model)
                        before = self.contents_of(row)
                        for group in people.keys() - allowed:
                            with self.subTest(model=model, action=action, group=group):
                                self.assertTrue(
                                    self.is_refused(row, action, people[group])
                                )
                        self.assertEqual(self.contents_of(row), before)
                    for group in allowed:
                        with (
                            self.subTest(model=model, action=action, group=group),
                            self.undone(),
                        ):
                            self.press(self.row(model), action, people[group])

    def test_buttons_know_companies(self):
        """All roles at home are no role elsewhere."""
        for model, actions in ACTIONS.items():
            if "wizard" in model or model in COMMON:
                continue
            for action in actions:
                if (model, action) in ON_THE_MODEL or (
                    # Opens a list, which shows what the visitor may see: nothing.
                    model == "finance.connector" and action.startswith("action_open_")
                ):
                    continue
                row = self.row(model).with_user(self.foreigner)
                with (
                    self.subTest(model=model, action=action),
                    self.undone(),
                    mute_logger("odoo.models"),
                ):
                    before = self.contents_of(row)
                    self.env.invalidate_all()
                    try:
                        result = getattr(row, action)()
                    except AccessError:
                        result = None
                    self.assertEqual(self.contents_of(row), before, "nothing changed")
                    if result is not None:
                        # A form may be offered, as long as it shows nothing.
                        self.assertIn(action, ASKING)
                        self.assertEqual(result["type"], "ir.actions.act_window")

    def contents_of(self, row):
        """Return the row as the database has it; a wizard's does not count."""
        if row._table_query or row._transient:
            return None
        self.env.flush_all()
        self.env.cr.execute(
            f"SELECT t::text FROM {row._table} t WHERE id = %s", [row.id]
        )
        return self.env.cr.fetchone()

    def test_only_its_people_talk_on_an_exception(self):
        """An operator comments on an exception; an auditor leaves no trace."""
        exception = self.row("finance.exception")
        message = exception.with_user(self.users["operator"]).message_post(
            body="I called the shop"
        )
        self.assertIn("I called the shop", message.body)
        auditor = self.users["auditor"]
        doors = {
            "post": lambda e: e.message_post(body="Hello"),
            "create": lambda e: e.env["mail.message"].create(
                {"model": e._name, "res_id": e.id, "body": "Hello"}
            ),
            "edit": lambda e: message.with_user(auditor).write({"body": "Hello"}),
            "activity": lambda e: e.activity_schedule(summary="Hello"),
            "attachment": lambda e: e.env["ir.attachment"].create(
                {
                    "name": "Hello",
                    "raw": b"Hello",
                    "res_model": e._name,
                    "res_id": e.id,
                }
            ),
        }
        for door, attempt in doors.items():
            with (
                self.subTest(door),
                self.undone(),
                mute_logger("odoo.models"),
                self.assertRaises(AccessError),
            ):
                attempt(exception.with_user(auditor))
