"""How good the answers are, measured on the path that users walk.

    questions   our own question sets: JSONL and CSV
    squad       SQuAD-shaped sets: paragraphs and questions
    sets        files joined, sampled, sources withheld
    documents   the documents of a set as an index
    examine     one question asked: a `Result`
    results     a `Result` and its line of JSON
    runs        run folders, taken up after a crash
    normalise   answers made comparable
    metrics     the measures, pure functions
    scoring     a `Result` judged: scores and outcome
    catalogue   every metric's name, direction and meaning
    statistics  intervals and tests
    summary     judged results to numbers
    compare     two runs, question by question
    thresholds  limits for CI
    formats, plots, figures, entries, report    the HTML page
    terminal    tables and progress
    evaluation  all of it in order

Importing it loads no model library. What each metric means: docs/evaluation.md.
"""
