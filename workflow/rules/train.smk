# Search, folds and their results. What a rule declares is metrics.json or another file that is written last, never the folder of a run:
# Snakemake removes what it declares before it runs a job again, and the checkpoints in the folder are what the job goes on from.

SETTINGS = RESULTS / "tune" / "best.toml" if config["tune"] else config["experiment"]


if config["tune"]:

    # All workers are given one search and share its trials.
    rule tune_worker:
        input:
            config["tune"]["settings"],
        output:
            touch(RESULTS / "done" / "tune-{worker}"),
        log:
            RESULTS / "logs" / "tune-{worker}.log",
        threads: THREADS
        resources:
            **gres(),
        retries: config["retries"]
        params:
            program=config["program"],
            trials=config["tune"]["trials"],
            folder=RESULTS / "tune",
            device=device(),
        shell:
            "{params.program} tune {input} --trials {params.trials} --out {params.folder} --threads {threads} "
            "--device {params.device} >{log} 2>&1"

    rule tune:
        input:
            expand(RESULTS / "done" / "tune-{worker}", worker=range(config["tune"]["workers"])),
        output:
            touch(RESULTS / "done" / "tune"),


# A fold is one job; a job that is sent again goes on from its last checkpoint. SIGTERM, which schedulers send before they kill, has a
# checkpoint written.
rule fold:
    input:
        experiment=config["experiment"] if not config["tune"] else [],
        tuned=RESULTS / "done" / "tune" if config["tune"] else [],
        fold_files=[] if isinstance(config["folds"], int) else config["folds"],
    output:
        expand(CV / "fold-{{fold}}" / "seed-{seed}" / "metrics.json", seed=SEEDS),
    log:
        RESULTS / "logs" / "fold-{fold}.log",
    threads: THREADS
    resources:
        **gres(),
    retries: config["retries"]
    params:
        program=config["program"],
        settings=SETTINGS,
        folds=folds(),
        seed=config["first_seed"],
        seeds=config["seeds"],
        folder=CV,
        device=device(),
        more=config["flags"],
    shell:
        "{params.program} cv {params.settings} {params.folds} --fold {wildcards.fold} --seed {params.seed} --seeds {params.seeds} "
        "--threads {threads} --device {params.device} {params.more} --out {params.folder} >{log} 2>&1"


rule join:
    input:
        expand(CV / "fold-{fold}" / "seed-{seed}" / "metrics.json", fold=FOLDS, seed=SEEDS),
    output:
        CV / "cv.json",
    log:
        RESULTS / "logs" / "join.log",
    threads: THREADS
    params:
        program=config["program"],
        folder=CV,
    shell:
        "{params.program} cv --resume {params.folder} --threads {threads} >{log} 2>&1"


rule report:
    input:
        CV / "cv.json",
    output:
        RESULTS / "report.html",
    log:
        RESULTS / "logs" / "report.log",
    params:
        program=config["program"],
        folder=CV,
    shell:
        "{params.program} report {params.folder} --out {output} --force >{log} 2>&1"
