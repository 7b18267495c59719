# featurestore with the versions of constraints.txt:
#   docker build --tag featurestore .
#   docker run --rm --volume features:/data featurestore build demo --augment 4
# Whatever is kept lies in /data; the user is not root, and cannot write to HOME.
FROM python:3.11-slim
COPY . /opt/source
RUN python -m venv /opt/venv
RUN /opt/venv/bin/python -m pip install --no-cache-dir --constraint /opt/source/constraints.txt /opt/source
RUN useradd --no-create-home --home-dir /nonexistent researcher
RUN mkdir --parents /data && chown researcher /data
ENV PATH=/opt/venv/bin:/usr/local/bin:/usr/bin:/bin
ENV FEATURESTORE_HOME=/data/store XDG_CACHE_HOME=/data/cache NUMBA_CACHE_DIR=/data/kernels MPLCONFIGDIR=/data/matplotlib
USER researcher
WORKDIR /data
ENTRYPOINT ["featurestore"]
CMD ["doctor"]
