public import Migrations

/// The tables that every service has, in its own schema: a chained audit log and an outbox. Versions 1 to 99.
public enum CommonMigrations {
  public static let all = [auditLog, outbox, months]

  /// The audit log. Sixteen chains ("lanes"), so that sixteen transactions can write at a time: a row's lane follows from its
  /// subject, so the history of one subject is one chain. `audit_heads` names the last row of each lane; taking it under a row
  /// lock is what makes writers of a lane wait for each other, at every isolation level.
  static let auditLog = Migration(
    version: 1, name: "audit log",
    sql: """
      CREATE TABLE audit_log (
        lane smallint NOT NULL CHECK (lane BETWEEN 0 AND 15),
        lane_number bigint NOT NULL CHECK (lane_number > 0),
        actor text NOT NULL,
        action text NOT NULL,
        subject text NOT NULL,
        outcome text NOT NULL,
        detail json NOT NULL,
        trace_id text NOT NULL,
        occurred_at timestamptz NOT NULL,
        created_at timestamptz NOT NULL,
        previous_hash bytea NOT NULL CHECK (length(previous_hash) = 32),
        hash bytea NOT NULL CHECK (length(hash) = 32),
        PRIMARY KEY (lane, lane_number, created_at)
      ) PARTITION BY RANGE (created_at);
      COMMENT ON TABLE audit_log IS
        'Who did what to what, and how it ended. Append-only; each row holds the hash of the one before it in its lane. No personal data.';
      CREATE INDEX audit_log_by_subject ON audit_log (subject, created_at);

      CREATE TABLE audit_heads (
        lane smallint PRIMARY KEY CHECK (lane BETWEEN 0 AND 15),
        lane_number bigint NOT NULL,
        created_at timestamptz NOT NULL,
        hash bytea NOT NULL CHECK (length(hash) = 32)
      ) WITH (fillfactor = 20);
      COMMENT ON TABLE audit_heads IS 'The last row of each lane of audit_log. Only append_audit writes it.';
      INSERT INTO audit_heads
        SELECT lane, 0, '-infinity', sha256(convert_to('florin audit lane ' || lane, 'UTF8')) FROM generate_series(0, 15) AS lane;

      -- Appends one row to the chain of its subject's lane. The lane is locked until the transaction ends: call it last.
      -- The hashed bytes are described, and computed again, by AuditLog.verify.
      CREATE FUNCTION append_audit(actor text, action text, subject text, outcome text, detail json, trace_id text, occurred_at timestamptz)
      RETURNS TABLE (lane smallint, lane_number bigint)
      LANGUAGE plpgsql SECURITY DEFINER AS $$
      #variable_conflict use_variable
      DECLARE
        head audit_heads%ROWTYPE;
        fields text[] := ARRAY[actor, action, subject, outcome, detail::text, trace_id];
        hashed bytea;
        field text;
        at timestamptz;
        happened timestamptz;
        digest bytea;
      BEGIN
        SELECT h.* INTO STRICT head FROM audit_heads h
          WHERE h.lane = (get_byte(sha256(convert_to(subject, 'UTF8')), 0) & 15)::smallint FOR UPDATE;
        -- Never backwards along a lane, whatever the clock does.
        at := greatest(clock_timestamp(), head.created_at);
        happened := coalesce(occurred_at, at);
        hashed := '\\x01'::bytea || head.hash || int4send(head.lane) || int8send(head.lane_number + 1)
          || timestamptz_send(happened) || timestamptz_send(at);
        FOREACH field IN ARRAY fields LOOP
          hashed := hashed || int4send(octet_length(field)) || convert_to(field, 'UTF8');
        END LOOP;
        digest := sha256(hashed);
        INSERT INTO audit_log VALUES (head.lane, head.lane_number + 1, actor, action, subject, outcome, detail, trace_id,
          happened, at, head.hash, digest);
        UPDATE audit_heads h SET lane_number = head.lane_number + 1, created_at = at, hash = digest WHERE h.lane = head.lane;
        RETURN QUERY SELECT head.lane, head.lane_number + 1;
      END $$;

      CREATE FUNCTION refuse_rewriting() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN
        RAISE EXCEPTION '%.% is append-only: % is refused', TG_TABLE_SCHEMA, TG_TABLE_NAME, TG_OP
          USING ERRCODE = 'insufficient_privilege', HINT = 'What was written stays; a correction is a new row.';
      END $$;
      CREATE TRIGGER refuse_rewriting BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_log
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_rewriting();
      -- Cloned to every partition, for those who name one.
      CREATE TRIGGER refuse_rewriting_rows BEFORE UPDATE OR DELETE ON audit_log
        FOR EACH ROW EXECUTE FUNCTION refuse_rewriting();

      REVOKE ALL ON FUNCTION append_audit(text, text, text, text, json, text, timestamptz), refuse_rewriting() FROM PUBLIC;
      DO $$
      DECLARE
        service text := current_schema() || '_service';
      BEGIN
        EXECUTE format('ALTER FUNCTION append_audit(text, text, text, text, json, text, timestamptz) SET search_path = %I, pg_temp', current_schema());
        EXECUTE format('ALTER FUNCTION refuse_rewriting() SET search_path = %I, pg_temp', current_schema());
        EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I', current_schema(), service);
        -- A service compares the history with its own list when it starts.
        EXECUTE format('GRANT SELECT ON schema_migrations TO %I', service);
        -- Rows come in through append_audit only.
        EXECUTE format('GRANT SELECT ON audit_log, audit_heads TO %I', service);
        EXECUTE format('GRANT EXECUTE ON FUNCTION append_audit(text, text, text, text, json, text, timestamptz) TO %I', service);
      END $$;
      """)

  /// What other systems are to be told, written in the transaction of the change. Who has been told is kept apart, because that changes.
  static let outbox = Migration(
    version: 2, name: "outbox",
    sql: """
      CREATE TABLE outbox (
        id bigint GENERATED ALWAYS AS IDENTITY,
        aggregate text NOT NULL,
        type text NOT NULL,
        payload bytea NOT NULL,
        traceparent text,
        created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
        PRIMARY KEY (id, created_at)
      ) PARTITION BY RANGE (created_at);
      COMMENT ON TABLE outbox IS 'Events, per aggregate in the order of id. Append-only.';

      CREATE TABLE outbox_marks (
        consumer text NOT NULL,
        outbox_id bigint NOT NULL,
        attempts integer NOT NULL DEFAULT 0 CHECK (attempts >= 0),
        delivered_at timestamptz,
        parked_at timestamptz,
        reason text,
        PRIMARY KEY (consumer, outbox_id),
        CHECK (delivered_at IS NULL OR parked_at IS NULL)
      );
      COMMENT ON TABLE outbox_marks IS 'What became of an event at a consumer: delivered, or parked after too many attempts.';

      CREATE TRIGGER refuse_rewriting BEFORE UPDATE OR DELETE OR TRUNCATE ON outbox
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_rewriting();
      CREATE TRIGGER refuse_rewriting_rows BEFORE UPDATE OR DELETE ON outbox
        FOR EACH ROW EXECUTE FUNCTION refuse_rewriting();

      DO $$
      BEGIN
        EXECUTE format('GRANT SELECT, INSERT ON outbox TO %I', current_schema() || '_service');
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON outbox_marks TO %I', current_schema() || '_service');
      END $$;
      """)

  /// Partitions by month, in UTC.
  static let months = Migration(
    version: 3, name: "months of audit log and outbox",
    sql: """
      -- Makes the partitions of this month and the three after it; returns how many were missing. Anybody who may execute it
      -- acts as the owner for just this.
      CREATE FUNCTION ensure_common_months() RETURNS integer
      LANGUAGE plpgsql SECURITY DEFINER SET timezone = 'UTC' SET lock_timeout = '5s' AS $$
      DECLARE
        made integer := 0;
        first_day date;
        parent text;
        month text;
      BEGIN
        PERFORM pg_advisory_xact_lock(hashtextextended('florin.months.' || current_schema(), 0));
        FOREACH parent IN ARRAY ARRAY['audit_log', 'outbox'] LOOP
          FOR offset_months IN 0..3 LOOP
            first_day := (date_trunc('month', clock_timestamp()) + make_interval(months => offset_months))::date;
            month := parent || to_char(first_day, '_YYYY_MM');
            CONTINUE WHEN to_regclass(quote_ident(month)) IS NOT NULL;
            EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L)', month, parent,
              first_day::timestamptz, (first_day + interval '1 month')::timestamptz);
            EXECUTE format('CREATE TRIGGER refuse_rewriting BEFORE UPDATE OR DELETE OR TRUNCATE ON %I '
              'FOR EACH STATEMENT EXECUTE FUNCTION refuse_rewriting()', month);
            made := made + 1;
          END LOOP;
        END LOOP;
        RETURN made;
      END $$;
      REVOKE ALL ON FUNCTION ensure_common_months() FROM PUBLIC;
      DO $$
      BEGIN
        EXECUTE format('ALTER FUNCTION ensure_common_months() SET search_path = %I, pg_temp', current_schema());
        EXECUTE format('GRANT EXECUTE ON FUNCTION ensure_common_months() TO %I', current_schema() || '_service');
      END $$;
      SELECT ensure_common_months();
      """)
}
