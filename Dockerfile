# docker build -t nilai .
# docker run -v ./nilai.yaml:/etc/nilai/nilai.yaml:ro nilai
# docker run nilai replay --help
#
# Works on Debian 12 and 13: --build-arg DEBIAN=13.
ARG DEBIAN=12

FROM debian:${DEBIAN}-slim AS build
WORKDIR /src
COPY tests/install.sh tests/
RUN root=/src && . tests/install.sh && install_packages "$build_needs"
COPY . .
RUN cmake -G Ninja -B /build -DCMAKE_INSTALL_PREFIX=/usr -DNILAI_LTO=ON -DNILAI_TESTS=OFF \
    && cmake --build /build && DESTDIR=/out cmake --install /build --strip
# The packages of the libraries that the program was linked with: their names differ between
# releases of Debian, so they are asked for, not written down. (What is not found is the C
# library, under its name from before /lib moved to /usr/lib; every image has it.)
RUN ldd /out/usr/bin/nilai | grep -o '/[^ ]*' | xargs -n 1 realpath \
    | xargs dpkg-query -S 2>/dev/null | cut -d: -f1 | sort -u >/out/packages

FROM debian:${DEBIAN}-slim
# ca-certificates: for brokers that speak TLS.
RUN --mount=type=bind,from=build,source=/out,target=/out \
    apt-get update && apt-get install -y --no-install-recommends ca-certificates $(cat /out/packages) \
    && rm -rf /var/lib/apt/lists/* \
    && cp -r /out/usr / \
    && useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin nilai
USER nilai
# Fails the build of the image if a library is missing.
RUN nilai --version
# The service keeps nothing on disk: the container may be read-only.
#
# This check says that the process is scheduled: neither stopped nor stuck in the kernel. It does
# not say that events flow. A worker that makes no progress for a minute ends the process by
# itself, which a restart policy sees and no probe from outside sees as soon.
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s \
    CMD grep -q '^State:[[:space:]]*[RS]' /proc/1/status
ENTRYPOINT ["nilai"]
CMD ["run", "-c", "/etc/nilai/nilai.yaml"]
