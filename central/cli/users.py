"""Accounts that people sign in with."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from central.cli.telling import CLI_ACTOR, console, database, told
from central.identity import invitations
from central.identity.accounts import Scope, create_user, disable_user
from central.identity.credentials import new_password
from central.identity.letters import Letters
from central.identity.second_factor import reset_factors
from central.kit.clock import SystemClock
from central.kit.config import BadSetting, Settings, load_settings
from central.kit.db import write_session
from central.kit.sealed import Seal, load_data_key

app = typer.Typer(name="user", no_args_is_help=True, help="Accounts that people sign in with.")

Email = Annotated[str, typer.Option(help="What the person signs in with.")]
Name = Annotated[str, typer.Option("--name", help="The person's name.")]
RoleName = Annotated[str, typer.Option(help="E.g. system_operator, client_official, contractor, auditor.")]
Site = Annotated[str | None, typer.Option(help="Code of the only site the role holds on.")]
Project = Annotated[str | None, typer.Option(help="Code of the project whose sites it holds on.")]
Organization = Annotated[str | None, typer.Option(help="Business number of the organization through which it holds.")]
Language = Annotated[str, typer.Option(help="ko or en.")]


@app.command("create")
@told
def user_create(  # noqa: PLR0913 - one option each
    *,
    email: Email,
    user_name: Name,
    role: RoleName,
    site: Site = None,
    project: Project = None,
    organization: Organization = None,
    language: Language = "ko",
    generate: Annotated[bool, typer.Option("--generate", help="Make a password and print it, once.")] = False,
    password_stdin: Annotated[bool, typer.Option("--password-stdin", help="Read it from standard input.")] = False,
) -> None:
    """Make an account with one role. Asks for the password unless told otherwise."""
    if generate:
        password = new_password()
    elif password_stdin:
        password = sys.stdin.readline().rstrip("\r\n")
    else:
        password = typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    scope = Scope(site=site, project=project, organization=organization)
    with database() as engine, write_session(engine) as session:
        user_id = create_user(
            session,
            email=email,
            name=user_name,
            password=password,
            role=role,
            scope=scope,
            language=language,
            actor=CLI_ACTOR,
            now=SystemClock().now(),
        )
    console.print(f"user {user_id} was made")
    if generate:
        console.print("the password; keep it now, it is not shown again:")
        typer.echo(password)


@app.command("invite")
@told
def user_invite(
    *,
    email: Email,
    user_name: Name,
    role: RoleName,
    site: Site = None,
    project: Project = None,
    organization: Organization = None,
    language: Language = "ko",
) -> None:
    """Invite somebody to an account with one role. Where no mail goes out, standard output is the link, once."""
    settings = load_settings()
    if not settings.public_url:
        raise BadSetting("CCS_PUBLIC_URL is not set: give the address where people reach the web, https://…")
    letters = _letters(settings)
    with database() as engine, write_session(engine) as session:
        link = invitations.invite(
            session,
            email=email,
            name=user_name,
            role=role,
            scope=Scope(site=site, project=project, organization=organization),
            language=language,
            base_url=settings.public_url.rstrip("/"),
            letters=letters,
            actor=CLI_ACTOR,
            now=SystemClock().now(),
        )
    if letters.go_out:
        console.print(f"the invitation to {email} is on its way", highlight=False)
        return
    console.print(
        f"no mail goes out here: hand this link to {email}; it opens once and for three days", highlight=False
    )
    typer.echo(link)


@app.command("disable")
@told
def user_disable(email: Email) -> None:
    """Close an account: signed out everywhere within seconds, and not let in again."""
    with database() as engine, write_session(engine) as session:
        disable_user(session, email=email, actor=CLI_ACTOR, now=SystemClock().now())
    console.print(f"{email} is disabled")


@app.command("reset-factors")
@told
def user_reset_factors(email: Email) -> None:
    """Take a lost second factor away: the person sets up a new one when signing in next."""
    letters = _letters(load_settings())
    with database() as engine, write_session(engine) as session:
        reset_factors(session, email=email, actor=CLI_ACTOR, letters=letters, now=SystemClock().now())
    console.print(f"{email} has no second factor any more, and is signed out everywhere")


def _letters(settings: Settings) -> Letters:
    return Letters(Seal(load_data_key(settings.data_key_file)), mail_goes_out=bool(settings.smtp_url))
