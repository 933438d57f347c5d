"""A real server, a real database and a real receiver for the system tests.

Starting takes many seconds, so one server serves all tests. A test that kills or
stops it leaves it that way: ``hub`` starts it again for the next test.
"""

import pytest

from hubtools.receiving import Receiver
from hubtools.settings import Settings
from hubtools.system import Hub, system_receiver


@pytest.fixture(scope="session")
def settings() -> Settings:
    """The ports, folders and variables of the tools."""
    return Settings.read()


@pytest.fixture(scope="session")
def hub_session(settings):
    """A server on a fresh database with demo data and a chart of accounts."""
    hub = Hub(settings)
    hub.create_database()
    hub.start()
    yield hub
    hub.drop_database()


@pytest.fixture(scope="session")
def receiver_session(settings):
    """The bundled receiver, without what it learned in an earlier run."""
    receiver = system_receiver(settings)
    receiver.stop()
    receiver.secrets_file.unlink(missing_ok=True)
    receiver.start()
    yield receiver
    receiver.stop()


@pytest.fixture
def hub(hub_session) -> Hub:
    """The running server (started again when the last test ended it)."""
    if not hub_session.running:
        hub_session.restart()
    return hub_session


@pytest.fixture
def receiver(receiver_session) -> Receiver:
    """The running receiver: nothing received yet, answering OK."""
    receiver_session.start()
    receiver_session.control("ok")
    receiver_session.clear()
    return receiver_session
