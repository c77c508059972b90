# docker build -t interview-tutor .
# docker build -t interview-tutor --build-arg BASE=nvidia/cuda:12.9.1-cudnn-runtime-ubuntu24.04 .   (then: docker run --gpus all …)
# docker run -p 7860:7860 -v interview-tutor:/data interview-tutor
ARG BASE=python:3.12-slim
FROM ${BASE}
# The CUDA images have no Python; the Python image has all that is needed.
RUN command -v python3 && python3 -m venv --help >/dev/null 2>&1 && python3 -m ensurepip --version >/dev/null 2>&1 \
    || (apt-get update && apt-get install -y --no-install-recommends python3 python3-venv && rm -rf /var/lib/apt/lists/*)
WORKDIR /app
RUN python3 -m venv /venv
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY corpus corpus
COPY index index
COPY tutor tutor
COPY ui ui
COPY evals evals
# On the CPU base the CPU build of torch spares 2.5 GB: --build-arg TORCH_INDEX=https://download.pytorch.org/whl/cpu
ARG TORCH_INDEX=
RUN if [ -n "$TORCH_INDEX" ]; then /venv/bin/pip install --no-cache-dir -c constraints.txt --index-url "$TORCH_INDEX" torch; fi \
    && /venv/bin/pip install --no-cache-dir -c constraints.txt -e .
RUN useradd --create-home tutor && mkdir /data && chown tutor /data
USER tutor
ENV TUTOR_HOME=/data TUTOR_HOST=0.0.0.0
EXPOSE 7860
VOLUME /data
CMD ["/venv/bin/tutor", "serve"]
