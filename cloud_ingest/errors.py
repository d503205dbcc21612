# SPDX-License-Identifier: EUPL-1.2
"""What can go wrong on the city's side.

CloudError
    ConfigError     where, problem: the operator's TOML or city.json breaks its rules
    StoreError      path, problem: the database file cannot be used
    BrokerError     where, problem: a server of the broker does not do what we need
    QueryError      problem: the caller's URL asks for what we do not understand (400)
    NoSuchEntity    what: the caller names something that is not there (404)
    CertificateError    where, problem: a certificate cannot be made
"""


class CloudError(Exception):
    """Anything this package raises on purpose; its text is one clear line."""


class ConfigError(CloudError):
    """A file of the operator is wrong: ``where`` (file and key) and ``problem``."""

    def __init__(self, where: str, problem: str) -> None:
        super().__init__(f"{where}: {problem}")
        self.where = where
        self.problem = problem


class StoreError(CloudError):
    """The database file at ``path`` cannot be used: ``problem``."""

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"{path}: {problem}")
        self.path = path
        self.problem = problem


class BrokerError(CloudError):
    """The broker at ``where`` does not do what we need: ``problem``."""

    def __init__(self, where: str, problem: str) -> None:
        super().__init__(f"{where}: {problem}")
        self.where = where
        self.problem = problem


class QueryError(CloudError):
    """A query asks for what we do not understand or offer."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem


class NoSuchEntity(CloudError):
    """The path names something that is not there."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} does not exist")
        self.what = what


class CertificateError(CloudError):
    """A certificate cannot be made: ``where`` (a file or a name) and ``problem``."""

    def __init__(self, where: object, problem: str) -> None:
        super().__init__(f"{where}: {problem}")
        self.where = where
        self.problem = problem
