"""Which methods are decisions: every button of the hub, and what is listed here.

A button is a public method ``action_…`` of a model of the hub. It is a decision unless
it only opens a screen: its name begins with one of ``SCREENS``, it stands in ``QUIET``,
or it answers with a window and has changed nothing. So a new button is audited without
a line here, and so is every model that comes later.
"""

import functools
import inspect

from odoo import models

from . import frames

ADDON = "finance_hub"
SCREENS = ("action_open", "action_refresh", "action_count", "action_preview")
# Buttons that decide nothing, or whose deed is recorded where it is done.
QUIET = {
    ("finance.archive", "action_download"),
    ("finance.archive", "action_download_manifest"),
    ("finance.audit.seal", "action_export"),
    ("finance.audit.seal", "action_verify"),
    ("finance.audit.seal", "action_seal_now"),
}
# Buttons that do something outside and show it in a window.
ALWAYS = {
    ("finance.connector", "action_test"),
    ("finance.endpoint", "action_test"),
}
# Decisions that are no buttons: {(model, method): (code, name of the argument that is
# the reason)}.
DECISIONS = {
    ("finance.exception", "_cancel"): ("exception.cancel", "reason"),
    ("finance.exception", "_solve"): ("exception.solve", "how"),
    ("finance.exception", "_snooze"): ("exception.snooze", "reason"),
    ("finance.exception", "_reassign"): ("exception.reassign", "reason"),
    ("finance.exception", "_request_waiver"): ("exception.request_waiver", "reason"),
    ("finance.exception", "_link"): ("exception.link", "reason"),
    ("finance.exception", "_retry"): ("exception.retry", None),
    ("finance.exception", "_grant_waiver"): ("exception.grant_waiver", None),
    ("finance.exception", "_refuse_waiver"): ("exception.refuse_waiver", None),
    ("finance.compensation", "_propose"): ("compensation.propose", "reason"),
    ("finance.compensation", "_take_back"): ("compensation.take_back", "reason"),
    ("finance.approval", "_decide_by_person"): ("approval.decide", "reason"),
    ("finance.approval", "_withdraw_by_person"): ("approval.withdraw", "reason"),
    ("finance.process", "_cancel"): ("process.cancel", "reason"),
    ("finance.process", "_begin_by_person"): ("process.start", None),
    ("finance.hold", "_release_by_person"): ("hold.release", "reason"),
    ("finance.command", "_correct"): ("command.correct", "reason"),
    ("finance.credential", "_set_secret"): ("credential.set_secret", None),
    ("finance.endpoint", "_suspend"): ("endpoint.suspend", "reason"),
}
ORIGINAL = "_finance_audit_original"


def code_of(model_name, method):
    """Return the code of a button, such as ``connector.approve``."""
    return f"{model_name.removeprefix('finance.')}.{method.removeprefix('action_')}"


def buttons_of(model):
    """Return the names of a model's buttons that this addon brought."""
    return sorted(
        name
        for name in dir(model)
        if name.startswith("action_")
        and not name.startswith(SCREENS)
        and not hasattr(models.BaseModel, name)
        and ADDON in getattr(model, name).__module__
    )


def install(registry):
    """Put a frame around every decision of the registry's models."""
    for name, model in registry.items():
        uninstall_from(model)
        if not name.startswith("finance.") or model._abstract:
            continue
        for method in buttons_of(model):
            if (name, method) not in QUIET:
                _wrap(model, method, code_of(name, method), None)
        for (model_name, method), (code, argument) in DECISIONS.items():
            if model_name == name:
                _wrap(model, method, code, argument)


def uninstall(registry):
    """Take all of them off again."""
    for model in registry.values():
        uninstall_from(model)


def uninstall_from(model):
    for name, value in list(vars(model).items()):
        if hasattr(value, ORIGINAL):
            delattr(model, name)


def _wrap(model, name, code, argument):
    method = getattr(model, name)
    signature = inspect.signature(method) if argument else None
    always = (model._name, name) in ALWAYS
    dialogue, screen = model._transient, name.startswith("action_")

    @functools.wraps(method)
    def wrapper(self, *args, **kwargs):
        if dialogue:
            with frames.transparent(self, code):
                return method(self, *args, **kwargs)
        reason = None
        if argument:
            reason = signature.bind(self, *args, **kwargs).arguments.get(argument)
        with frames.decision(
            self, code, all_fields=_is_configuration(self), reason=reason
        ) as frame:
            result = method(self, *args, **kwargs)
            frame.asked = screen and not always and _is_window(result)
        return result

    setattr(wrapper, ORIGINAL, method)
    setattr(model, name, wrapper)


def _is_configuration(records):
    return "_finance_audited" in dir(type(records))


def _is_window(result):
    return isinstance(result, dict) and str(result.get("type", "")).startswith(
        "ir.actions.act_window"
    )
