/// Every type that the files and their imports declare: its Swift name, and which messages can contain themselves.
struct TypeTable {
  private var swiftNames: [String: String] = [:]
  private var messages: [String: ProtoMessage] = [:]
  private(set) var zeroCases: [String: String] = [:]

  init(_ files: [ProtoFile], namespaces: [String: String]) {
    for file in files {
      let namespace = namespaces[file.name] ?? Naming.namespace(package: file.package)
      let swiftName = { (fullName: String) in namespace + "." + fullName.dropFirst(file.package.count + 1) }
      for message in file.messages.flatMap(\.all) {
        swiftNames[message.fullName] = swiftName(message.fullName)
        messages[message.fullName] = message
      }
      for enumeration in file.enums + file.messages.flatMap(\.allEnums) {
        swiftNames[enumeration.fullName] = swiftName(enumeration.fullName)
        // proto3 demands that the first value is zero.
        zeroCases[enumeration.fullName] = Naming.caseName(enumeration.values.first?.name ?? "", enumName: enumeration.name)
      }
    }
  }

  /// "florin.type.v1.Money" → "TypeAPI.Money".
  func swiftName(_ fullName: String) -> String { swiftNames[fullName] ?? fullName }

  /// Whether messages of this type can nest without end.
  func isRecursive(_ fullName: String) -> Bool {
    reachable(from: fullName, inlineOnly: false).union([fullName]).contains { reachable(from: $0, inlineOnly: false).contains($0) }
  }

  /// Whether the field would make its message's struct contain itself.
  func needsIndirection(_ field: ProtoField, in message: ProtoMessage) -> Bool {
    guard let name = field.messageName, !field.isRepeated else { return false }
    return name == message.fullName || reachable(from: name, inlineOnly: true).contains(message.fullName)
  }

  private func reachable(from start: String, inlineOnly: Bool) -> Set<String> {
    var seen: Set<String> = []
    var open = [start]
    while let name = open.popLast() {
      for field in messages[name]?.fields ?? [] where !(inlineOnly && field.isRepeated) {
        if let next = field.messageName, seen.insert(next).inserted { open.append(next) }
      }
    }
    return seen
  }
}
