import Glibc

/// Ends a throw-away cluster and removes its files when this process is gone, however it goes: a small shell waits on a
/// socket whose other end only this process holds.
public final class ClusterGuard: Sendable {
  private let lifeline: Int32

  /// - Parameter removing: a directory, which holds the cluster's and is removed with it.
  public init(_ cluster: PostgresCluster, removing directory: String) throws(ClusterError) {
    let pair = try SocketPair()
    let silence = open("/dev/null", O_RDWR | O_CLOEXEC)
    defer { close(silence) }
    let watcher = ToolProcess(
      executable: "/bin/sh",
      arguments: [
        "-c", Self.script, "florin-cluster-guard", cluster.dataDirectory, cluster.socketDirectory, cluster.layout.base, directory,
      ])
    _ = try watcher.spawn(standardInput: pair.theirs, standardOutput: silence)
    pair.closeTheirs()
    lifeline = pair.ours
  }

  deinit { close(lifeline) }

  /// Arguments: data directory, then what to remove.
  private static let script = """
    trap '' HUP INT TERM
    cat >/dev/null
    if read -r pid <"$1/postmaster.pid"; then
      kill -QUIT "$pid"
      turn=0
      while kill -0 "$pid" && [ $turn -lt 50 ]; do sleep 0.1; turn=$((turn + 1)); done
      kill -KILL "$pid"
    fi
    rm -rf -- "$2" "$3" "$4"
    """
}
