internal import Foundation
internal import Glibc
internal import Metrics
internal import Synchronization
internal import Telemetry

/// What every process tells of itself, under the names that Prometheus' client libraries agreed on (`process_*`), read from /proc
/// at each scrape.
struct ProcessMetrics {
  let registry: PrometheusRegistry
  let service: String
  let version: String

  func install() {
    Gauge(label: "florin_build_info", dimensions: [("service", service), ("version", version)], factory: registry).record(1)
    Gauge(label: "process_start_time_seconds", dimensions: [], factory: registry).record(Date().timeIntervalSince1970)
    let resident = Gauge(label: "process_resident_memory_bytes", dimensions: [], factory: registry)
    let threads = Gauge(label: "process_threads", dimensions: [], factory: registry)
    let descriptors = Gauge(label: "process_open_fds", dimensions: [], factory: registry)
    let cpu = FloatingPointCounter(label: "process_cpu_seconds", dimensions: [], factory: registry)
    let spent = Mutex(0.0)
    registry.addCollector {
      var usage = rusage()
      // RUSAGE_SELF is an enumeration here and an integer there; zero is its value everywhere.
      if getrusage(__rusage_who_t(0), &usage) == 0 {
        let seconds = Self.seconds(usage.ru_utime) + Self.seconds(usage.ru_stime)
        let added = spent.withLock { spent in
          defer { spent = max(spent, seconds) }
          return seconds - spent
        }
        cpu.increment(by: added)
      }
      // size resident shared …, in pages (proc(5)).
      let pages = Self.read("/proc/self/statm").split(separator: " ").dropFirst().first.flatMap { Int($0) }
      if let pages { resident.record(pages * Int(sysconf(Int32(_SC_PAGESIZE)))) }
      // The fields after the name, which stands in parentheses; the number of threads is the 20th of all.
      let fields = Self.read("/proc/self/stat").split(separator: ")").last?.split(separator: " ") ?? []
      if fields.count > 17, let count = Int(fields[17]) { threads.record(count) }
      if let open = try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd") { descriptors.record(open.count) }
    }
  }

  private static func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) / 1e6 }

  private static func read(_ path: String) -> String {
    FileManager.default.contents(atPath: path).map { String(decoding: $0, as: UTF8.self) } ?? ""
  }
}
