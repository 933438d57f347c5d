"""What a handler says when it does not apply a command."""

#: What a handler returns that has done a part of much work, and is to be called again
#: in another transaction, so that none takes too long. What it did stays.
MORE = object()


class CommandError(Exception):
    """A command that can't be applied as it is; a person decides.

    :ivar code: of the exception taxonomy, such as ``B-UNMATCHED``
    :ivar message: what happened and what to do, in plain words
    """

    #: State in which the command is left.
    state = "failed"

    def __init__(self, code, message):
        super().__init__(message)
        self.code = code
        self.message = message

    @property
    def summary(self):
        """The message as one line, like that of a contracts.ContractError."""
        return self.message.splitlines()[0]

    def describe(self):
        """Return all there is to say, like a contracts.ContractError does."""
        return self.message

    def report(self, command):
        """Tell a person; runs after what the handler did was undone."""
        command._open_exception(self)


class CommandWaits(CommandError):
    """A command that can be applied by itself once something else is there.

    It is tried again when :meth:`finance.command._provide` is told of the key, and by
    a sweep from time to time.

    :ivar key: what it waits for, such as ``payment:7:pay_3f9a``
    :ivar grace: how long it may wait before a person is told; zero is at once
    """

    state = "waiting"

    def __init__(self, code, message, key, grace=None):
        super().__init__(code, message)
        self.key = key
        self.grace = grace

    def report(self, command):
        """Tell a person, unless it may come right by itself before the grace ends."""
        if not self.grace:
            return super().report(command)
        return None


class CommandHeld(CommandError):
    """A command that waits for somebody's decision or another system's verdict.

    :ivar on_hold: called with the command after what the handler did was undone; makes
        the hold or approval that releases the command by ``_resubmit()``.
    """

    state = "held"

    def __init__(self, code, message, on_hold):
        super().__init__(code, message)
        self.on_hold = on_hold

    def report(self, command):
        """Make what the command waits for; nobody is told that nothing failed."""
        self.on_hold(command)


class CommandIgnored(CommandError):
    """A command that says nothing new, such as a figure older than the known one."""

    state = "ignored"

    def report(self, command):
        """Nobody has to do anything."""
