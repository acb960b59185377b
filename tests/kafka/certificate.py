"""Certificates of tests: an authority of its own, made when it is needed, and what it signs.

Keys are PEM (PKCS #8), as both Kafka's PEM stores and librdkafka read them; nothing outlives the
directory that they are made in.
"""

import pathlib
import subprocess


class Authority:
    """Who signs certificates; `certificate` is the file that a client trusts."""

    def __init__(self, directory, name):
        self.directory = pathlib.Path(directory)
        self.name = name
        self.certificate = self.directory / f"{name}.pem"
        self.key = self.directory / f"{name}.key"
        openssl(self.key, self.certificate, name, "-addext", "basicConstraints=critical,CA:TRUE",
                "-addext", "keyUsage=critical,keyCertSign")

    def key_store(self, host):
        """A file of key and certificate of the server `host`, as a broker wants it."""
        key = self.directory / f"{self.name}-{host}.key"
        certificate = self.directory / f"{self.name}-{host}.pem"
        openssl(key, certificate, host, "-CA", self.certificate, "-CAkey", self.key,
                "-addext", "basicConstraints=critical,CA:FALSE",
                "-addext", f"subjectAltName=DNS:{host}")
        store = self.directory / f"{self.name}-{host}.store"
        store.write_bytes(key.read_bytes() + certificate.read_bytes())
        return store


def openssl(key, certificate, name, *options):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:prime256v1", "-noenc", "-days", "2", "-subj", f"/CN={name}",
                    "-keyout", str(key), "-out", str(certificate), *map(str, options)],
                   check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                   stderr=subprocess.PIPE)
