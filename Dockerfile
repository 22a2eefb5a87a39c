# strandnet in Debian, from its Python wheel in dist/ and PyTorch's wheels, whose libtorch it uses.
#   docker build -t strandnet .                                     for the CPU
#   docker build -t strandnet:cuda --build-arg FLAVOUR=cuda .       for NVIDIA GPUs too: driver 580 or newer
#   docker run --rm -v "$PWD:/data" strandnet train experiment.toml --out run          (strandnet:cuda with --gpus all)
FROM debian:bookworm-slim AS wheels
RUN apt-get update && \
    apt-get install --yes --no-install-recommends python3 python3-venv && \
    rm -rf /var/lib/apt/lists/*
COPY dist/*.whl /wheels/
ARG FLAVOUR=cpu
# For the CPU the program needs of the packages that PyTorch's wheel names only the two that libtorch_cpu.so is linked with, as in
# scripts/libtorch-cpu.txt: without the others the image is a fifth. `import torch` needs them all, the program does not.
RUN python3 -m venv /opt/strandnet && \
    case $FLAVOUR in \
      cpu) /opt/strandnet/bin/pip install --no-cache-dir --no-deps \
             torch==2.11.0 nvidia-cuda-runtime==13.0.96 nvidia-cuda-cupti==13.0.85 /wheels/*.whl && \
           rm /opt/strandnet/lib/python3*/site-packages/torch/lib/libtorch_cuda*.so ;; \
      cuda) /opt/strandnet/bin/pip install --no-cache-dir /wheels/*.whl torch==2.11.0 ;; \
      *) echo "FLAVOUR is $FLAVOUR, expected cpu or cuda" >&2; exit 2 ;; \
    esac && \
    /opt/strandnet/bin/strandnet doctor

FROM debian:bookworm-slim
RUN apt-get update && \
    apt-get install --yes --no-install-recommends python3 libstdc++6 && \
    rm -rf /var/lib/apt/lists/*
COPY --from=wheels /opt/strandnet /opt/strandnet
ENV PATH=/opt/strandnet/bin:$PATH
WORKDIR /data
ENTRYPOINT ["strandnet"]
CMD ["--help"]
