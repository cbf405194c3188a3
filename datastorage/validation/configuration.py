"""The settings that the service would read here, for the checks that need them."""

from datastorage.settings import Settings, SettingsError
from datastorage.validation.check import Broken
from datastorage.validation.subject import Subject


def load_settings(subject: Subject) -> Settings:
    """Return the settings; their passwords are never printed from now on.

    Raises:
        Broken: with every mistake in the configuration.
    """
    try:
        settings = Settings.load(subject.config_path, subject.environ)
    except SettingsError as error:
        repair = "correct the configuration, see docs/settings.md"
        raise Broken(f"the configuration cannot be used: {error}", repair) from error
    subject.secrets.update({settings.database.password, settings.redis.password} - {""})
    return settings
