"""`rag`: the index, searching without a generator, the models, evaluation."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rag.cli import common, doctor, evaluation
from rag.errors import NoDocumentsError, UsageError
from rag.filtering import filter_of

_SETTINGS = {"help_option_names": ["-h", "--help"]}

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings=_SETTINGS,
    help="Build and inspect the index, search it, and manage the models.",
)
models_app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="List, fetch, verify and locate the models."
)
app.add_typer(models_app, name="models")
app.add_typer(evaluation.app, name="eval")
app.command("doctor")(doctor.doctor)


@app.command("index")
def index(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(help="Folders and files; by default those of the last time, or seeds/."),
    ] = None,
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="Start from nothing, whatever is there.")
    ] = False,
    follow_links: Annotated[
        bool | None,
        typer.Option("--follow-links", help="Read what symbolic links lead to, too."),
    ] = None,
    as_json: common.AsJson = False,
    quiet: common.Quiet = False,
    store: common.Store = None,
    embedder: common.EmbedderName = None,
    offline: common.Offline = None,
) -> None:
    """Bring the index in line with PATHS: it then holds them and nothing else."""
    from rag.display import Display

    display = Display(quiet=quiet, as_json=as_json)
    with common.reporting(display):
        settings = common.load_settings(
            store=store, embedder=embedder, offline=offline, follow_links=follow_links
        )
        from rag.session import Session

        session = Session(settings, common.progress_of(display))
        report = session.index_documents(
            paths or session.as_before() or _default(settings.documents), rebuild=rebuild
        )
        display.index_report(report, str(settings.store))
        raise typer.Exit(1 if report.failed else 0)


def _default(documents: Path | None) -> list[Path]:
    if documents is None:
        raise NoDocumentsError("No documents are named", "Run: rag index FOLDER")
    return [documents]


@app.command("info")
def info(as_json: common.AsJson = False, store: common.Store = None) -> None:
    """Tell what is in the index and what it was made with."""
    from rag.display import Display, index_object

    display = Display(as_json=as_json)
    with common.reporting(display):
        settings = common.load_settings(store=store)
        from rag.index import Index

        index = Index.load(settings.store)
        facts = {
            **index_object(index.manifest, str(settings.store)),
            "embedder": index.manifest.embedder,
            "roots": list(index.manifest.roots),
        }
        display.index_info(facts, index.text.names())


@app.command("search")
def search(
    question: Annotated[list[str], typer.Argument(help="What to look for.")],
    k: common.TopK = None,
    as_json: common.AsJson = False,
    quiet: common.Quiet = False,
    pattern: common.Pattern = None,
    language: common.Language = None,
    since: common.Since = None,
    until: common.Until = None,
    store: common.Store = None,
    embedder: common.EmbedderName = None,
    reranker: common.RerankerName = None,
    offline: common.Offline = None,
) -> None:
    """Show the chunks and sentences found for a question, and why they were."""
    from rag.display import Display

    display = Display(quiet=quiet, as_json=as_json)
    with common.reporting(display):
        wanted = filter_of(pattern, language, since, until)
        settings = common.load_settings(
            store=store, embedder=embedder, reranker=reranker, offline=offline, k=k
        )
        from rag.session import Session

        session = Session(settings, common.progress_of(display), wanted)
        raise typer.Exit(common.search([" ".join(question)], session, display))


@models_app.command("list")
def models_list(
    as_json: common.AsJson = False,
    memory: Annotated[
        float | None,
        typer.Option(
            "--memory",
            metavar="GB",
            min=0.0,
            help="Recommend for a machine with so much memory; by default for this one.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """List the models and whether they are here, then stronger ones that fit the memory."""
    from rag.display import Display, model_object

    display = Display(as_json=as_json)
    with common.reporting(display):
        settings = common.load_settings()
        from rag.models import models_status, total_memory
        from rag.recommending import recommended_object, show_recommended

        status = models_status(settings)
        room = total_memory() if memory is None else int(memory * 1e9)
        if as_json:
            display.json({"models": [model_object(m) for m in status], **recommended_object(room)})
        else:
            display.models(status)
            show_recommended(display.out, room)
            display.note(f"Models lie in {settings.models}")


@models_app.command("pull")
def models_pull(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            help="Names of `rag models list`, or REPO:FILE of the hub; the defaults without."
        ),
    ] = None,
    source: Annotated[
        Path | None,
        typer.Option(
            "--from", help="Take the file from here, or from this folder.", show_default=False
        ),
    ] = None,
    quiet: common.Quiet = False,
    offline: common.Offline = None,
) -> None:
    """Fetch models and verify them; what is here already is not fetched again."""
    from rag.display import Display

    display = Display(quiet=quiet)
    with common.reporting(display):
        settings = common.load_settings(offline=offline)
        from rag.models import is_hub_gguf, pull
        from rag.models import names as known

        defaults = (settings.embedder, settings.generator)
        wanted = names or [n for n in defaults if n in known() or is_hub_gguf(n)]
        if source is not None and len(wanted) != 1:
            raise UsageError("--from brings one model", "Run: rag models pull NAME --from FILE")
        for name in wanted:
            file = pull(name, settings, common.progress_of(display), source)
            display.note(f"{file.name}: verified, at {file.path}")
            if name == settings.generator:
                from rag.generation import states_of_user
                from rag.preparing import prepare

                prepare(file, settings, common.progress_of(display), states_of_user())


@models_app.command("verify")
def models_verify(
    name: Annotated[
        str | None, typer.Argument(help="One model; all that are here without.")
    ] = None,
) -> None:
    """Read every byte of the models that are here and compare the digests."""
    from rag.display import Display

    display = Display()
    with common.reporting(display):
        settings = common.load_settings()
        from rag.models import verify

        results = verify(name, settings)
        display.verified(results)
        raise typer.Exit(0 if all(r.ok for r in results) else 1)


@models_app.command("path")
def models_path(
    name: Annotated[str, typer.Argument(help="A name of `rag models list`.")],
) -> None:
    """Print where a model lies; fetches nothing."""
    from rag.display import Display

    display = Display()
    with common.reporting(display):
        from rag.models import path

        display.line(str(path(name, common.load_settings())))


def rag_main() -> None:
    """Entry point of `rag`."""
    common.run(app)
