// swift-tools-version: 6.2
// The house plan. A target may import only what stands below it: the table says which layer each target lives in and
// what it uses, and `checkedTargets` refuses to evaluate the manifest if an arrow points up, or sideways between services.
import PackageDescription

/// One room: a target, what it uses of ours, and what it uses of others.
struct Room {
  enum Kind { case library, cLibrary, systemLibrary(pkgConfig: String, apt: String), executable, test }
  var name: String
  var kind: Kind = .library
  var uses: [String] = []
  var products: [Target.Dependency] = []
  var resources: [Resource] = []
}

/// One floor. On a stacked floor a room may use the rooms listed before it; on any other, rooms know nothing of each other.
struct Floor {
  var name: String
  var stacked: Bool
  var rooms: [Room]
}

let nioCore: Target.Dependency = .product(name: "NIOCore", package: "swift-nio")
let nioPosix: Target.Dependency = .product(name: "NIOPosix", package: "swift-nio")
let logging: Target.Dependency = .product(name: "Logging", package: "swift-log")
let metrics: Target.Dependency = .product(name: "Metrics", package: "swift-metrics")
let coreMetrics: Target.Dependency = .product(name: "CoreMetrics", package: "swift-metrics")
let tracing: Target.Dependency = .product(name: "Tracing", package: "swift-distributed-tracing")
let lifecycle: Target.Dependency = .product(name: "ServiceLifecycle", package: "swift-service-lifecycle")
let arguments: Target.Dependency = .product(name: "ArgumentParser", package: "swift-argument-parser")
let configuration: Target.Dependency = .product(name: "Configuration", package: "swift-configuration")
let yams: Target.Dependency = .product(name: "Yams", package: "Yams")
let hummingbird: Target.Dependency = .product(name: "Hummingbird", package: "hummingbird")
let httpClient: Target.Dependency = .product(name: "AsyncHTTPClient", package: "async-http-client")
let deque: Target.Dependency = .product(name: "DequeModule", package: "swift-collections")

let floors: [Floor] = [
  Floor(
    name: "Bindings", stacked: true,
    rooms: [
      Room(name: "COpenSSL", kind: .systemLibrary(pkgConfig: "openssl", apt: "libssl-dev")),
      Room(name: "CPostgres", kind: .systemLibrary(pkgConfig: "libpq", apt: "libpq-dev")),
      Room(name: "CProtobufC", kind: .systemLibrary(pkgConfig: "libprotobuf-c", apt: "libprotobuf-c-dev")),
      Room(name: "CLinux", kind: .cLibrary),
      Room(name: "CArena", kind: .cLibrary, uses: ["CProtobufC"]),
      Room(name: "CDescriptor", kind: .cLibrary, uses: ["CProtobufC"]),
      Room(name: "CFlorinProto", kind: .cLibrary, uses: ["CProtobufC"]),
      Room(name: "CSpawn", kind: .cLibrary),
    ]),
  Floor(
    name: "Core", stacked: true,
    rooms: [
      Room(name: "Digest", uses: ["COpenSSL"]),
      Room(name: "Money", uses: ["Digest"]),
      Room(name: "ProtobufCodec", uses: ["CArena", "CProtobufC"]),
      Room(name: "Telemetry", uses: ["Money"], products: [logging, metrics, coreMetrics, tracing]),
    ]),
  Floor(
    name: "Domain", stacked: false,
    rooms: [
      Room(name: "LedgerRules", uses: ["Money", "Digest"]),
      Room(name: "SagaEngine", uses: ["Money"]),
      Room(name: "Idempotency", uses: ["Money", "Digest"]),
    ]),
  Floor(
    name: "Mesh", stacked: true,
    rooms: [
      Room(name: "MeshProtocol", uses: ["ProtobufCodec", "CProtobufC", "CArena", "CFlorinProto", "Money"], products: [deque]),
      Room(name: "MeshTLS", uses: ["COpenSSL", "MeshProtocol", "Money"], products: [logging]),
      Room(
        name: "MeshTransport", uses: ["MeshProtocol", "MeshTLS", "COpenSSL", "Telemetry", "Money"],
        products: [nioCore, nioPosix, logging, metrics, tracing]),
      Room(
        name: "MeshClient", uses: ["MeshProtocol", "MeshTLS", "MeshTransport", "Telemetry"],
        products: [nioCore, nioPosix, logging, metrics, tracing, lifecycle, deque]),
      Room(
        name: "MeshServer", uses: ["MeshProtocol", "MeshTLS", "MeshTransport", "Telemetry"],
        products: [nioCore, nioPosix, logging, metrics, tracing, lifecycle, yams]),
    ]),
  Floor(
    name: "Storage", stacked: true,
    rooms: [
      Room(name: "Postgres", uses: ["CPostgres", "Money", "Telemetry"], products: [logging, metrics, tracing, lifecycle, deque]),
      Room(name: "Migrations", uses: ["Postgres", "Digest", "Money"], products: [logging]),
      Room(
        name: "Outbox", uses: ["Postgres", "Migrations", "Digest", "Money", "Telemetry"], products: [logging, metrics, tracing, lifecycle]),
    ]),
  Floor(
    name: "API", stacked: true,
    rooms: [
      Room(name: "FlorinAPI", uses: ["ProtobufCodec", "CProtobufC", "CArena", "CFlorinProto", "MeshProtocol", "Money"])
    ]),
  Floor(
    name: "Runtime", stacked: true,
    rooms: [
      Room(
        name: "OTLPExport", uses: ["ProtobufCodec", "CProtobufC", "CArena", "CFlorinProto", "Telemetry", "Money"],
        products: [tracing, httpClient, logging, nioCore, lifecycle, metrics]),
      Room(
        name: "ServiceRuntime",
        uses: [
          "OTLPExport", "FlorinAPI", "Migrations", "Postgres", "Outbox", "MeshServer", "MeshClient", "MeshTLS", "MeshProtocol", "Telemetry",
          "Money",
        ],
        products: [logging, metrics, tracing, lifecycle, arguments, configuration, hummingbird, nioCore, nioPosix]),
    ]),
  Floor(
    name: "Services", stacked: false,
    rooms: [
      Room(name: "AccountService", uses: serviceUses, products: serviceProducts),
      Room(name: "LedgerService", uses: serviceUses + ["LedgerRules"], products: serviceProducts + [deque]),
      Room(name: "PaymentService", uses: serviceUses + ["SagaEngine", "Idempotency"], products: serviceProducts),
      Room(name: "NotificationService", uses: serviceUses, products: serviceProducts),
    ]),
  Floor(
    name: "Tools", stacked: true,
    rooms: [
      Room(name: "Authority", uses: ["COpenSSL", "CLinux", "Money"], products: []),
      Room(name: "PostgresCluster", uses: ["Money"], products: [logging]),
      Room(name: "ComposeRunner", uses: ["CSpawn", "PostgresCluster", "Authority", "Money", "Digest"], products: [yams, logging]),
      Room(name: "Verify", uses: ["Postgres", "Outbox", "LedgerRules", "Digest", "Money"], products: [logging]),
    ]),
  Floor(
    name: "Executables", stacked: false,
    rooms: [
      Room(name: "account", kind: .executable, uses: ["AccountService", "ServiceRuntime"]),
      Room(name: "ledger", kind: .executable, uses: ["LedgerService", "ServiceRuntime"]),
      Room(name: "payment", kind: .executable, uses: ["PaymentService", "ServiceRuntime"]),
      Room(name: "notification", kind: .executable, uses: ["NotificationService", "ServiceRuntime"]),
      Room(
        name: "florin", kind: .executable,
        uses: [
          "ComposeRunner", "Authority", "PostgresCluster", "Verify", "Postgres", "MeshClient", "MeshTLS", "MeshProtocol", "FlorinAPI",
          "Money", "Digest",
        ],
        products: [arguments, logging, yams, nioCore, nioPosix]),
      Room(name: "protoc-gen-florin", kind: .executable, uses: ["CDescriptor", "CProtobufC"]),
    ]),
  Floor(
    name: "Tests", stacked: true,
    rooms: [
      Room(
        name: "MeshTestKit", uses: ["Authority", "MeshTLS", "MeshClient", "MeshServer", "MeshProtocol", "COpenSSL", "Money"],
        products: [nioCore, nioPosix, logging]),
      Room(name: "PostgresTestKit", uses: ["PostgresCluster", "Authority", "Postgres", "Migrations", "Money"], products: [logging]),
      Room(name: "MoneyTests", kind: .test, uses: ["Money", "Digest"]),
      Room(
        name: "ProtobufCodecTests", kind: .test,
        uses: ["ProtobufCodec", "FlorinAPI", "MeshProtocol", "CFlorinProto", "CProtobufC", "CArena", "protoc-gen-florin"]),
      Room(
        name: "TelemetryTests", kind: .test, uses: ["Telemetry", "OTLPExport", "Money", "ProtobufCodec"],
        products: [logging, tracing, metrics, coreMetrics, lifecycle, hummingbird, nioCore]),
      Room(name: "LedgerRulesTests", kind: .test, uses: ["LedgerRules", "Money", "Digest"]),
      Room(name: "SagaEngineTests", kind: .test, uses: ["SagaEngine", "Money"]),
      Room(name: "IdempotencyTests", kind: .test, uses: ["Idempotency", "Money"]),
      Room(name: "MeshProtocolTests", kind: .test, uses: ["MeshProtocol", "ProtobufCodec"]),
      Room(
        name: "MeshTests", kind: .test,
        uses: [
          "MeshTestKit", "Authority", "MeshTLS", "MeshTransport", "MeshClient", "MeshServer", "MeshProtocol", "ProtobufCodec", "Telemetry",
          "COpenSSL",
        ], products: [nioCore, nioPosix, logging, tracing, lifecycle]),
      Room(
        name: "PostgresTests", kind: .test,
        uses: ["PostgresTestKit", "PostgresCluster", "Postgres", "Migrations", "Outbox", "Authority", "Money"],
        products: [logging, lifecycle]),
      Room(name: "AuthorityTests", kind: .test, uses: ["Authority", "MeshTLS", "MeshProtocol", "COpenSSL", "Money"]),
      Room(
        name: "ServiceRuntimeTests", kind: .test,
        uses: [
          "PostgresTestKit", "Authority", "ServiceRuntime", "MeshClient", "MeshTLS", "MeshServer", "MeshProtocol", "Migrations", "Outbox",
          "Postgres", "Telemetry", "Money",
        ],
        products: [logging, metrics, tracing, lifecycle, httpClient, nioCore]),
      Room(name: "AccountServiceTests", kind: .test, uses: serviceTestUses + ["AccountService"], products: [logging]),
      Room(
        name: "LedgerServiceTests", kind: .test,
        uses: serviceTestUses + ["LedgerService", "AccountService", "PaymentService", "NotificationService", "LedgerRules", "Verify"],
        products: [lifecycle, logging]),
      Room(
        name: "PaymentServiceTests", kind: .test, uses: serviceTestUses + ["PaymentService", "SagaEngine", "Idempotency"],
        products: [logging, tracing]),
      Room(name: "NotificationServiceTests", kind: .test, uses: serviceTestUses + ["NotificationService"], products: [logging]),
      Room(name: "ComposeRunnerTests", kind: .test, uses: ["ComposeRunner", "PostgresCluster", "Authority", "florin"]),
      Room(
        name: "EndToEndTests", kind: .test,
        uses: [
          "PostgresTestKit", "ComposeRunner", "Authority", "MeshClient", "MeshTLS", "MeshProtocol", "FlorinAPI", "Money", "Digest",
          "account", "ledger", "payment", "notification", "florin",
        ],
        products: [logging, nioCore, nioPosix]),
    ]),
]

var serviceUses: [String] {
  ["ServiceRuntime", "FlorinAPI", "ProtobufCodec", "MeshProtocol", "Postgres", "Migrations", "Outbox", "Telemetry", "Money", "Digest"]
}
var serviceProducts: [Target.Dependency] { [logging, metrics, tracing, lifecycle] }
var serviceTestUses: [String] {
  [
    "PostgresTestKit", "Postgres", "Migrations", "FlorinAPI", "ProtobufCodec", "MeshProtocol", "ServiceRuntime", "Telemetry", "Money",
    "Digest", "Outbox",
  ]
}

let strict: [SwiftSetting] = [
  .treatAllWarnings(as: .error),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .unsafeFlags(["-cross-module-optimization"], .when(configuration: .release)),
]

func checkedTargets(_ floors: [Floor]) -> [Target] {
  var below: Set<String> = []
  var targets: [Target] = []
  for floor in floors {
    var reachable = below
    for room in floor.rooms {
      for used in room.uses where !reachable.contains(used) {
        fatalError("\(floor.name)/\(room.name) may not use \(used): it does not stand below. See ARCHITECTURE.md, Layers.")
      }
      if floor.stacked { reachable.insert(room.name) }
      let path = (floor.name == "Tests" ? (room.isTest ? "Tests/" : "Tests/Support/") : "Sources/\(floor.name)/") + room.name
      let dependencies = room.uses.map { Target.Dependency.target(name: $0) } + room.products
      switch room.kind {
      case .systemLibrary(let pkgConfig, let apt):
        targets.append(.systemLibrary(name: room.name, path: path, pkgConfig: pkgConfig, providers: [.apt([apt])]))
      case .cLibrary: targets.append(.target(name: room.name, dependencies: dependencies, path: path))
      case .library:
        targets.append(.target(name: room.name, dependencies: dependencies, path: path, resources: room.resources, swiftSettings: strict))
      case .executable: targets.append(.executableTarget(name: room.name, dependencies: dependencies, path: path, swiftSettings: strict))
      case .test: targets.append(.testTarget(name: room.name, dependencies: dependencies, path: path, swiftSettings: strict))
      }
    }
    below.formUnion(floor.rooms.map(\.name))
  }
  return targets
}

extension Room {
  var isTest: Bool { if case .test = kind { true } else { false } }
}

let package = Package(
  name: "florin",
  products: ["account", "ledger", "payment", "notification", "florin"].map { .executable(name: $0, targets: [$0]) },
  dependencies: [
    .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
    .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
    .package(url: "https://github.com/apple/swift-metrics", from: "2.13.0"),
    .package(url: "https://github.com/apple/swift-distributed-tracing", from: "1.7.3"),
    .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/apple/swift-configuration", from: "1.4.0"),
    .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
    .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
    .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1"),
    .package(url: "https://github.com/swift-server/async-http-client", from: "1.37.0"),
  ],
  targets: checkedTargets(floors),
  swiftLanguageModes: [.v6],
  cLanguageStandard: .c11
)
