"""The same questions answered as the documentation of Flask, Authlib and SQLAlchemy suggests.

No straw man: indexes where they are needed, one session per request, secrets stored as they come,
no password hash, and the same server in front of it. It stores tokens instead of signing them.
"""

from __future__ import annotations

import os
import secrets
import time
from typing import Any

from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.integrations.sqla_oauth2 import (
    OAuth2ClientMixin,
    OAuth2TokenMixin,
    create_query_client_func,
    create_save_token_func,
)
from authlib.oauth2.rfc6749.grants import ClientCredentialsGrant
from authlib.oauth2.rfc7662 import IntrospectionEndpoint
from flask import Flask, Response
from sqlalchemy import ForeignKey, String, create_engine, select
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    mapped_column,
    relationship,
    scoped_session,
    sessionmaker,
)

URL_ENV = "BENCH_NAIVE_URL"
CLIENT = ("naive-api", "naive-secret")


class Base(DeclarativeBase):
    pass


class OAuthClient(Base, OAuth2ClientMixin):  # type: ignore[misc]  # Authlib has no types.
    __tablename__ = "oauth_client"
    id: Mapped[int] = mapped_column(primary_key=True)


class Person(Base):
    __tablename__ = "person"
    id: Mapped[int] = mapped_column(primary_key=True)
    sub: Mapped[str] = mapped_column(String(64), unique=True)
    tier: Mapped[str] = mapped_column(String(16))
    consents: Mapped[list[Consent]] = relationship(back_populates="person")


class Consent(Base):
    __tablename__ = "consent"
    id: Mapped[int] = mapped_column(primary_key=True)
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"), index=True)
    purpose: Mapped[str] = mapped_column(String(64))
    state: Mapped[str] = mapped_column(String(16))
    person: Mapped[Person] = relationship(back_populates="consents")


class Token(Base, OAuth2TokenMixin):  # type: ignore[misc]  # Authlib has no types.
    __tablename__ = "oauth_token"
    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    user: Mapped[Person | None] = relationship()


def app() -> Flask:
    """Granian's factory. The database is the one that `seed` filled."""
    engine = create_engine(os.environ[URL_ENV])
    session = scoped_session(sessionmaker(bind=engine))
    app = Flask("naive")
    app.teardown_appcontext(lambda _error: session.remove())
    server = AuthorizationServer(
        app,
        query_client=create_query_client_func(session, OAuthClient),
        save_token=create_save_token_func(session, Token),
    )

    class Introspection(IntrospectionEndpoint):  # type: ignore[misc]  # Authlib has no types.
        CLIENT_AUTH_METHODS = ["client_secret_basic"]  # noqa: RUF012 - as its documentation has it

        def query_token(self, token_string: str, _hint: str | None) -> Token | None:
            return session.scalars(select(Token).filter_by(access_token=token_string)).first()

        def check_permission(self, token: Token, client: OAuthClient, request: Any) -> bool:  # noqa: ARG002
            return bool(token.client_id == client.client_id)

        def introspect_token(self, token: Token) -> dict[str, Any]:
            person = token.user
            assert person is not None
            return {
                "active": True,
                "client_id": token.client_id,
                "token_type": token.token_type,
                "scope": token.get_scope(),
                "sub": person.sub,
                "iat": token.issued_at,
                "exp": token.issued_at + token.expires_in,
                "age_tier": person.tier,
                "consent": {c.purpose: c.state for c in person.consents},
            }

    server.register_grant(ClientCredentialsGrant)
    server.register_endpoint(Introspection)

    @app.post("/oauth/introspect")
    def introspect() -> Response:
        answer: Response = server.create_endpoint_response("introspection")
        return answer

    @app.post("/oauth/token")
    def token() -> Response:
        answer: Response = server.create_token_response()
        return answer

    return app


def seed(url: str, people: int) -> list[str]:
    """Fill an empty database and return the tokens."""
    engine = create_engine(url)
    Base.metadata.create_all(engine)
    tokens = [secrets.token_urlsafe(32) for _ in range(people)]
    with sessionmaker(bind=engine)() as session:
        client = OAuthClient(client_id=CLIENT[0], client_secret=CLIENT[1])
        client.set_client_metadata(
            {
                "token_endpoint_auth_method": "client_secret_basic",
                "grant_types": ["client_credentials"],
                "scope": "consents:read",
            }
        )
        session.add(client)
        for number, value in enumerate(tokens):
            person = Person(sub=f"sub-{number}", tier="child")
            person.consents = [
                Consent(purpose="ai_chat", state="granted"),
                Consent(purpose="disclose:researchlab", state="refused"),
            ]
            session.add(
                Token(
                    client_id=CLIENT[0],
                    token_type="Bearer",  # noqa: S106 - its type, not a secret
                    access_token=value,
                    scope="openid age consent",
                    issued_at=int(time.time()),
                    expires_in=3600,
                    user=person,
                )
            )
        session.commit()
    engine.dispose()
    return tokens
