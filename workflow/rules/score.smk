# The genome and variants, a job for each chromosome, by the ensemble of all folds.


rule track_of_chromosome:
    input:
        cv=CV / "cv.json",
        genome=config["genome"] or [],
    output:
        temp(RESULTS / "track" / "{chromosome}.bedgraph"),
    log:
        RESULTS / "logs" / "track-{chromosome}.log",
    threads: THREADS
    resources:
        **gres(),
    retries: config["retries"]
    params:
        program=config["program"],
        folder=CV,
        device=device(),
        flags=(config["track"] or {}).get("flags", ""),
    shell:
        "{params.program} predict {params.folder} --reference {input.genome} --chroms {wildcards.chromosome} --format bedgraph "
        "--threads {threads} --device {params.device} {params.flags} --out {output} --force >{log} 2>&1"


rule track:
    input:
        lambda _: [RESULTS / "track" / f"{chromosome}.bedgraph" for chromosome in chromosomes()],
    output:
        RESULTS / "track.bedgraph.gz",
    log:
        RESULTS / "logs" / "track.log",
    shell:
        "cat {input} 2>{log} | gzip >{output} 2>>{log}"


# Those of chromosomes that are not scored are left out.
rule variants_of_chromosome:
    input:
        config["variants"] or [],
    output:
        temp(RESULTS / "variants" / "{chromosome}.vcf"),
    log:
        RESULTS / "logs" / "variants-of-{chromosome}.log",
    shell:
        "gzip -cdf {input} | awk -F '\\t' -v name={wildcards.chromosome} "
        "'/^#/ || $1 == name || \"chr\" $1 == name || $1 == \"chr\" name' >{output} 2>{log}"


rule score_variants:
    input:
        cv=CV / "cv.json",
        genome=config["genome"] or [],
        vcf=RESULTS / "variants" / "{chromosome}.vcf",
    output:
        temp(RESULTS / "variants" / "{chromosome}.tsv"),
    log:
        RESULTS / "logs" / "variants-{chromosome}.log",
    threads: THREADS
    resources:
        **gres(),
    retries: config["retries"]
    params:
        program=config["program"],
        folder=CV,
        device=device(),
    shell:
        "if grep -qv '^#' {input.vcf}; then {params.program} explain variants {params.folder} --vcf {input.vcf} "
        "--reference {input.genome} --threads {threads} --device {params.device} --out {output} --format tsv --force >{log} 2>&1; "
        "else touch {output}; fi"


rule variants:
    input:
        lambda _: [RESULTS / "variants" / f"{chromosome}.tsv" for chromosome in chromosomes()],
    output:
        RESULTS / "variants.tsv",
    log:
        RESULTS / "logs" / "variants.log",
    shell:
        "awk 'FNR > 1 || NR == 1' {input} >{output} 2>{log}"
