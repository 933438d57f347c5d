"""Errors of the pure rooms in words for a screen."""


def describe(error):
    """Return the message of a contract or command error and where its faults are.

    :param error: has ``message`` and ``errors``, see contracts.ContractError
    """
    places = [f"{fault['pointer']}: {fault['message']}" for fault in error.errors[1:]]
    return "\n".join([error.message, *places])
