# citewell on the CPU; a language model, if any, runs in a container of its own (see compose.yaml).
FROM python:3.11-slim
RUN apt-get update \
 && apt-get install -y --no-install-recommends tesseract-ocr tesseract-ocr-eng tesseract-ocr-chi-sim \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /app
COPY . .
RUN pip install --no-cache-dir -c constraints.txt torch==2.13.0 -e '.[cpu]'
RUN useradd --create-home citewell && mkdir /data && chown citewell /data
USER citewell
ENV CITEWELL_DATA_DIR=/data CITEWELL_HOST=0.0.0.0 HF_HUB_OFFLINE=1 TOKENIZERS_PARALLELISM=false
VOLUME /data
EXPOSE 8000
CMD ["citewell", "serve"]
