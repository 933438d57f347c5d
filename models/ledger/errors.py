"""What a handler says when it refuses a command."""


class CommandError(Exception):
    """A command that can't be applied as it is; a person decides.

    :ivar code: of the exception taxonomy, such as ``B-UNMATCHED``
    :ivar message: what happened and what to do, in plain words
    """

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
