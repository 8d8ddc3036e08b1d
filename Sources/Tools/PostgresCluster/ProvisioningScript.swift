/// What psql runs to make roles and databases. Names come in as psql variables and are quoted by psql, never pasted in.
/// Every script may be run again.
enum ProvisioningScript {
  /// Roles that belong to no single service.
  static let commonRoles = """
    SELECT 'CREATE ROLE migrator' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'migrator') \\gexec
    SELECT 'CREATE ROLE auditor' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'auditor') \\gexec
    -- It is nobody until it says SET ROLE.
    ALTER ROLE migrator LOGIN NOINHERIT NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD NULL;
    ALTER ROLE auditor LOGIN INHERIT NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD NULL;
    ALTER ROLE auditor SET default_transaction_read_only = on;
    GRANT pg_read_all_data TO auditor;
    REVOKE ALL ON DATABASE postgres FROM PUBLIC;
    REVOKE ALL ON DATABASE template1 FROM PUBLIC;

    """

  /// The roles of a service. Variable: `service`.
  static let serviceRoles = """
    SELECT :'service' || '_owner' AS owner, :'service' || '_service' AS login \\gset
    SELECT format('CREATE ROLE %I', :'owner') WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'owner') \\gexec
    SELECT format('CREATE ROLE %I', :'login') WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'login') \\gexec
    ALTER ROLE :"owner" NOLOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD NULL;
    ALTER ROLE :"login" LOGIN NOINHERIT NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD NULL;
    GRANT :"owner" TO migrator;

    """

  /// A database of a service, empty or a copy. Variables: `service`, `database`, `template`.
  static let database = """
    SELECT :'service' || '_owner' AS owner, :'service' || '_service' AS login \\gset
    SELECT format('CREATE DATABASE %I OWNER %I TEMPLATE %I', :'database', :'owner', :'template')
      WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'database') \\gexec
    REVOKE ALL ON DATABASE :"database" FROM PUBLIC;
    GRANT CONNECT ON DATABASE :"database" TO :"login", migrator, auditor;
    ALTER ROLE :"login" IN DATABASE :"database" SET search_path = :"service";
    ALTER ROLE migrator IN DATABASE :"database" SET search_path = :"service";
    ALTER ROLE auditor IN DATABASE :"database" SET search_path = :"service";

    """

  /// Run in the new database: only schemas that a migration makes are for use.
  static let insideDatabase = """
    REVOKE ALL ON SCHEMA public FROM PUBLIC;

    """

  /// Variable: `database`.
  static let dropDatabase = """
    DROP DATABASE IF EXISTS :"database" WITH (FORCE);

    """
}
