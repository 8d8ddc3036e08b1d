internal import Migrations

extension LedgerMigrations {
  /// The tables of docs/ledger.md.
  ///
  /// - `batches` is the fence: each row points at (number, hash) of the one before, so a batch commits only on top of the very
  ///   history that it was computed from. A writer that was deposed without knowing it cannot commit.
  /// - `transfers` and `resolutions` are partitioned by *id* (ids are time-ordered), so that their primary keys hold over all
  ///   months; `entries` by `created_at`. A transfer's month may come before its entries'.
  /// - No balance stands in any row. `derived.checkpoints` is a cache outside the chain: emptying it changes no answer.
  /// - Nothing is updated, deleted or truncated: triggers raise, on parents and partitions, ALWAYS (also for a superuser, also
  ///   with session_replication_role = replica); and the service's role may only SELECT and INSERT, on parents only.
  static let ledgerTables = Migration(
    version: 100, name: "ledger tables",
    sql: """
      CREATE TYPE ledger.posting_kind AS ENUM ('transfer', 'reversal', 'hold', 'release', 'tombstone');
      CREATE TYPE ledger.posting_outcome AS ENUM ('posted', 'declined', 'tombstone');
      CREATE TYPE ledger.entry_direction AS ENUM ('DEBIT', 'CREDIT');
      CREATE TYPE ledger.balance_policy AS ENUM ('limited', 'unlimited');
      CREATE TYPE ledger.account_status AS ENUM ('open', 'frozen', 'closed');
      CREATE TYPE ledger.account_event_kind AS ENUM ('opened', 'status_set');

      -- Who has been writing: a row for each time that a writer took over.
      CREATE TABLE ledger.writer_epochs (
        epoch bigint PRIMARY KEY,
        owner text NOT NULL,
        claimed_at timestamptz NOT NULL DEFAULT clock_timestamp()
      );
      INSERT INTO ledger.writer_epochs (epoch, owner, claimed_at) VALUES (0, 'genesis', '1970-01-01T00:00:00Z');

      CREATE TABLE ledger.batches (
        batch_no bigint PRIMARY KEY,
        prev_no bigint,
        prev_hash bytea CHECK (length(prev_hash) = 32),
        epoch bigint NOT NULL REFERENCES ledger.writer_epochs (epoch),
        transfer_count integer NOT NULL CHECK (transfer_count >= 0),
        entry_count integer NOT NULL CHECK (entry_count >= 0),
        event_count integer NOT NULL CHECK (event_count >= 0),
        hash_version integer NOT NULL,
        hash bytea NOT NULL CHECK (length(hash) = 32),
        created_at timestamptz NOT NULL,
        UNIQUE (batch_no, hash),
        CHECK ((batch_no = 0) = (prev_no IS NULL)),
        CHECK ((prev_no IS NULL) = (prev_hash IS NULL)),
        CHECK (prev_no = batch_no - 1),
        FOREIGN KEY (prev_no, prev_hash) REFERENCES ledger.batches (batch_no, hash)
      );
      INSERT INTO ledger.batches
        (batch_no, epoch, transfer_count, entry_count, event_count, hash_version, hash, created_at)
        VALUES (0, 0, 0, 0, 0, 1, sha256('florin.ledger.genesis'), '1970-01-01T00:00:00Z');

      CREATE TABLE ledger.accounts (
        account_no bigint PRIMARY KEY CHECK (account_no > 0),
        account_id text NOT NULL UNIQUE CHECK (account_id ~ '^[A-Za-z0-9][A-Za-z0-9:_-]{0,63}$'),
        currency text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
        policy ledger.balance_policy NOT NULL,
        batch_no bigint NOT NULL,
        created_at timestamptz NOT NULL
      );

      -- Openings and changes of status, as they were asked for, with what became of them.
      CREATE TABLE ledger.account_events (
        event_id uuid PRIMARY KEY,
        batch_no bigint NOT NULL,
        position integer NOT NULL,
        kind ledger.account_event_kind NOT NULL,
        outcome ledger.posting_outcome NOT NULL CHECK (outcome IN ('posted', 'declined')),
        reason text CHECK (length(reason) BETWEEN 1 AND 40),
        account_no bigint,
        account_id text NOT NULL,
        currency text,
        policy ledger.balance_policy,
        status ledger.account_status NOT NULL,
        requested_by text NOT NULL,
        fingerprint bytea NOT NULL CHECK (length(fingerprint) = 16),
        created_at timestamptz NOT NULL,
        row_hash bytea NOT NULL CHECK (length(row_hash) = 32),
        CHECK ((outcome = 'posted') = (reason IS NULL)),
        CHECK (outcome <> 'posted' OR account_no IS NOT NULL),
        CHECK ((kind = 'opened') = (currency IS NOT NULL AND policy IS NOT NULL))
      );
      CREATE INDEX account_events_by_batch ON ledger.account_events (batch_no);
      CREATE INDEX account_events_by_account ON ledger.account_events (account_no, created_at, position) WHERE outcome = 'posted';

      -- One row for each id that was ever decided. Only `posted` transfers and reversals have entries.
      CREATE TABLE ledger.transfers (
        id uuid NOT NULL PRIMARY KEY,
        batch_no bigint NOT NULL,
        position integer NOT NULL,
        kind ledger.posting_kind NOT NULL,
        outcome ledger.posting_outcome NOT NULL,
        reason text CHECK (length(reason) BETWEEN 1 AND 40),
        debit_account_no bigint,
        credit_account_no bigint,
        amount bigint,
        currency text CHECK (length(currency) = 3),
        type text CHECK (length(type) BETWEEN 1 AND 32),
        reference_id uuid NOT NULL,
        linked_id uuid,
        group_position integer,
        value_date date,
        unknown_account_id text,
        requested_by text NOT NULL,
        fingerprint bytea NOT NULL CHECK (length(fingerprint) = 16),
        created_at timestamptz NOT NULL,
        row_hash bytea NOT NULL CHECK (length(row_hash) = 32),
        CHECK ((outcome = 'declined') = (reason IS NOT NULL)),
        CHECK ((kind = 'tombstone') = (type IS NULL)),
        CHECK (outcome <> 'tombstone' OR kind = 'tombstone'),
        CHECK ((kind IN ('reversal', 'release')) = (linked_id IS NOT NULL)),
        CHECK (outcome <> 'posted' OR (amount > 0 AND currency IS NOT NULL AND debit_account_no IS NOT NULL)),
        CHECK (outcome <> 'posted' OR kind IN ('hold', 'release')
          OR (credit_account_no IS NOT NULL AND credit_account_no <> debit_account_no AND value_date IS NOT NULL)),
        CHECK (kind NOT IN ('hold', 'release') OR credit_account_no IS NULL)
      ) PARTITION BY RANGE (id);
      CREATE INDEX transfers_by_batch ON ledger.transfers (batch_no);
      CREATE INDEX transfers_by_reference ON ledger.transfers (reference_id);
      -- What is held on an account at T: holds less releases up to T.
      CREATE INDEX transfers_holding ON ledger.transfers (debit_account_no, created_at)
        WHERE outcome = 'posted' AND kind IN ('hold', 'release');

      -- A transfer is reversed once, a hold is released once: whoever asks, and whatever a writer believes.
      CREATE TABLE ledger.resolutions (
        linked_id uuid NOT NULL PRIMARY KEY,
        by_id uuid NOT NULL
      ) PARTITION BY RANGE (linked_id);

      CREATE TABLE ledger.entries (
        account_no bigint NOT NULL,
        account_seq bigint NOT NULL CHECK (account_seq > 0),
        direction ledger.entry_direction NOT NULL,
        amount bigint NOT NULL CHECK (amount > 0),
        transfer_id uuid NOT NULL,
        created_at timestamptz NOT NULL
      ) PARTITION BY RANGE (created_at);
      CREATE UNIQUE INDEX entries_by_account ON ledger.entries (account_no, created_at, account_seq);
      -- A verifier reads entries batch by batch; rows lie in the order of time, so this costs next to nothing.
      CREATE INDEX entries_by_time ON ledger.entries USING brin (created_at);

      CREATE SCHEMA derived;
      CREATE TABLE derived.checkpoints (
        account_no bigint NOT NULL,
        as_of timestamptz NOT NULL,
        account_seq bigint NOT NULL,
        balance bigint NOT NULL,
        held bigint NOT NULL,
        PRIMARY KEY (account_no, as_of)
      );
      CREATE INDEX checkpoints_by_sequence ON derived.checkpoints (account_no, account_seq);

      -- Append-only.
      CREATE FUNCTION ledger.refuse_change() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog AS $$
      BEGIN
        RAISE EXCEPTION 'the ledger is append-only: % on %.% is refused', TG_OP, TG_TABLE_SCHEMA, TG_TABLE_NAME
          USING ERRCODE = 'FL001', HINT = 'A posting is corrected by a linked reversal.';
      END $$;

      CREATE FUNCTION ledger.make_append_only(tables regclass[]) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog AS $$
      DECLARE one regclass;
      BEGIN
        FOREACH one IN ARRAY tables LOOP
          EXECUTE format('CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON %s
            FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change()', one);
          EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER append_only', one);
        END LOOP;
      END $$;
      SELECT ledger.make_append_only(ARRAY['ledger.writer_epochs', 'ledger.batches', 'ledger.accounts', 'ledger.account_events',
        'ledger.transfers', 'ledger.resolutions', 'ledger.entries']::regclass[]);

      -- Each posted transfer has one debit and one credit of the same amount.
      CREATE FUNCTION ledger.check_legs() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog AS $$
      BEGIN
        IF EXISTS (SELECT FROM appended GROUP BY transfer_id
            HAVING count(*) <> 2 OR sum(CASE direction WHEN 'CREDIT' THEN amount ELSE -amount END) <> 0) THEN
          RAISE EXCEPTION 'the legs of a transfer do not sum to zero' USING ERRCODE = 'FL002';
        END IF;
        RETURN NULL;
      END $$;
      CREATE TRIGGER legs_sum_to_zero AFTER INSERT ON ledger.entries REFERENCING NEW TABLE AS appended
        FOR EACH STATEMENT EXECUTE FUNCTION ledger.check_legs();
      ALTER TABLE ledger.entries ENABLE ALWAYS TRIGGER legs_sum_to_zero;

      -- The smallest UUID of an instant: time-ordered ids begin with 48 bits of milliseconds.
      CREATE FUNCTION ledger.first_id(instant timestamptz) RETURNS uuid LANGUAGE sql IMMUTABLE STRICT SET search_path = pg_catalog AS $$
        SELECT (lpad(to_hex((extract(epoch FROM instant) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid
      $$;

      -- Makes the partitions of one month and attaches them; attaching, unlike CREATE … PARTITION OF, does not block writers.
      CREATE FUNCTION ledger.attach_month(first_day date) RETURNS void LANGUAGE plpgsql
        SET search_path = pg_catalog SET timezone = 'UTC' AS $$
      DECLARE
        next_day date := first_day + interval '1 month';
        name text;
        part text;
        lower_bound text;
        upper_bound text;
      BEGIN
        FOREACH name IN ARRAY ARRAY['transfers', 'resolutions', 'entries'] LOOP
          part := name || to_char(first_day, '_YYYY_MM');
          IF name = 'entries' THEN
            lower_bound := first_day::timestamptz::text;
            upper_bound := next_day::timestamptz::text;
          ELSE
            lower_bound := ledger.first_id(first_day::timestamptz)::text;
            upper_bound := ledger.first_id(next_day::timestamptz)::text;
          END IF;
          EXECUTE format('CREATE TABLE ledger.%I (LIKE ledger.%I INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING INDEXES)', part, name);
          EXECUTE format('REVOKE ALL ON ledger.%I FROM PUBLIC, ledger_service', part);
          PERFORM ledger.make_append_only(ARRAY[format('ledger.%I', part)::regclass]);
          EXECUTE format('ALTER TABLE ledger.%I ATTACH PARTITION ledger.%I FOR VALUES FROM (%L) TO (%L)', name, part, lower_bound, upper_bound);
        END LOOP;
      END $$;

      -- The months that have partitions: from the first day of the oldest to the first day after the newest.
      CREATE FUNCTION ledger.attached_months(OUT first_day date, OUT end_day date) LANGUAGE sql STABLE SET search_path = pg_catalog AS $$
        SELECT min(day), (max(day) + interval '1 month')::date
        FROM (SELECT to_date(right(c.relname, 7), 'YYYY_MM') AS day
              FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
              WHERE i.inhparent = 'ledger.transfers'::regclass) months
      $$;

      -- Months three ahead of today, made by whoever asks, owned by the owner. Returns how many were new.
      CREATE FUNCTION ledger.ensure_months() RETURNS integer LANGUAGE plpgsql SECURITY DEFINER
        SET search_path = pg_catalog SET timezone = 'UTC' SET lock_timeout = '5s' AS $$
      DECLARE
        this_month date := date_trunc('month', now())::date;
        newest_end date;
        made integer := 0;
      BEGIN
        PERFORM pg_advisory_xact_lock(7307199011);
        SELECT end_day INTO newest_end FROM ledger.attached_months();
        -- The month before the first one too: an id may be as old as the payment that it belongs to.
        newest_end := coalesce(newest_end, (this_month - interval '1 month')::date);
        WHILE newest_end <= (this_month + interval '3 months')::date LOOP
          PERFORM ledger.attach_month(newest_end);
          newest_end := newest_end + interval '1 month';
          made := made + 1;
        END LOOP;
        RETURN made;
      END $$;
      SELECT ledger.ensure_months();

      -- What is true of an account at an instant of booking; NULL for now. One row, or none if there is no such account.
      -- The instant is brought back to the last committed batch, whose time is returned: such an answer never changes.
      -- In steps, so that each one is planned once and touches only the partitions that it needs; all see one snapshot (STABLE).
      CREATE FUNCTION ledger.balance_at(wanted_account text, wanted_instant timestamptz)
        RETURNS TABLE (account_no bigint, currency text, opened_at timestamptz, as_of timestamptz, posted bigint, held bigint,
          entry_count bigint, status ledger.account_status)
        LANGUAGE plpgsql STABLE SET search_path = pg_catalog
        SET enable_sort = off SET enable_bitmapscan = off SET plan_cache_mode = force_generic_plan AS $$
      #variable_conflict use_column
      DECLARE
        account ledger.accounts;
        instant timestamptz;
        checkpoint derived.checkpoints;
        since timestamptz;
        tail_balance bigint;
        tail_entries bigint;
        tail_held bigint;
        now_status ledger.account_status;
      BEGIN
        SELECT * INTO account FROM ledger.accounts WHERE account_id = wanted_account;
        IF NOT FOUND THEN RETURN; END IF;
        SELECT least(created_at, wanted_instant) INTO instant FROM ledger.batches ORDER BY batch_no DESC LIMIT 1;
        SELECT * INTO checkpoint FROM derived.checkpoints k
          WHERE k.account_no = account.account_no AND k.as_of <= instant ORDER BY k.as_of DESC LIMIT 1;
        since := coalesce(checkpoint.as_of, '-infinity');
        SELECT coalesce(sum(CASE direction WHEN 'CREDIT' THEN amount ELSE -amount END), 0), count(*) INTO tail_balance, tail_entries
          FROM ledger.entries e WHERE e.account_no = account.account_no AND created_at > since AND created_at <= instant;
        SELECT coalesce(sum(CASE kind WHEN 'hold' THEN amount ELSE -amount END), 0) INTO tail_held
          FROM ledger.transfers WHERE debit_account_no = account.account_no AND outcome = 'posted' AND kind IN ('hold', 'release')
            AND created_at > since AND created_at <= instant;
        SELECT s.status INTO now_status FROM ledger.account_events s
          WHERE s.account_no = account.account_no AND outcome = 'posted' AND created_at <= instant
          ORDER BY created_at DESC, position DESC LIMIT 1;
        RETURN QUERY SELECT account.account_no, account.currency, account.created_at, instant,
          coalesce(checkpoint.balance, 0) + tail_balance, coalesce(checkpoint.held, 0) + tail_held,
          coalesce(checkpoint.account_seq, 0) + tail_entries, coalesce(now_status, 'open');
      END $$;

      -- For auditors: the brief's columns. SUM(CASE WHEN direction = 'CREDIT' THEN amount ELSE -amount END) is the balance.
      CREATE VIEW ledger.ledger_entries AS
        SELECT a.account_id, e.amount, e.direction::text AS direction, t.type, t.reference_id, e.created_at
        FROM ledger.entries e
        LEFT JOIN ledger.accounts a ON a.account_no = e.account_no
        LEFT JOIN ledger.transfers t ON t.id = e.transfer_id;

      -- For auditors: one row tells the story of one transfer. Balances are computed from the entries, never from a checkpoint.
      CREATE VIEW ledger.transaction_explained AS
        SELECT t.id AS transfer_id, t.kind::text AS kind, t.outcome::text AS outcome, t.reason, t.type, t.reference_id,
          d.account_id AS debit_account_id, c.account_id AS credit_account_id, t.amount, t.currency, t.value_date,
          t.created_at AS booked_at, t.linked_id, r.by_id AS resolved_by_id, t.requested_by, t.batch_no, t.position, t.group_position,
          encode(t.row_hash, 'hex') AS row_hash, encode(b.hash, 'hex') AS batch_hash, b.epoch AS writer_epoch, w.owner AS writer,
          (SELECT sum(CASE p.direction WHEN 'CREDIT' THEN p.amount ELSE -p.amount END) FROM ledger.entries p, ledger.entries own
            WHERE own.account_no = t.debit_account_no AND own.created_at = t.created_at AND own.transfer_id = t.id
              AND p.account_no = own.account_no AND p.created_at <= own.created_at AND p.account_seq <= own.account_seq
          ) AS debit_balance_after,
          (SELECT sum(CASE p.direction WHEN 'CREDIT' THEN p.amount ELSE -p.amount END) FROM ledger.entries p, ledger.entries own
            WHERE own.account_no = t.credit_account_no AND own.created_at = t.created_at AND own.transfer_id = t.id
              AND p.account_no = own.account_no AND p.created_at <= own.created_at AND p.account_seq <= own.account_seq
          ) AS credit_balance_after
        FROM ledger.transfers t
        LEFT JOIN ledger.accounts d ON d.account_no = t.debit_account_no
        LEFT JOIN ledger.accounts c ON c.account_no = t.credit_account_no
        LEFT JOIN ledger.resolutions r ON r.linked_id = t.id
        LEFT JOIN ledger.batches b ON b.batch_no = t.batch_no
        LEFT JOIN ledger.writer_epochs w ON w.epoch = b.epoch;

      REVOKE ALL ON FUNCTION ledger.refuse_change(), ledger.make_append_only(regclass[]), ledger.check_legs(),
        ledger.attach_month(date), ledger.ensure_months() FROM PUBLIC;
      GRANT USAGE ON SCHEMA ledger, derived TO ledger_service;
      GRANT SELECT, INSERT ON ledger.writer_epochs, ledger.batches, ledger.accounts, ledger.account_events, ledger.transfers,
        ledger.resolutions, ledger.entries, derived.checkpoints TO ledger_service;
      GRANT SELECT ON ledger.ledger_entries, ledger.transaction_explained TO ledger_service;
      GRANT EXECUTE ON FUNCTION ledger.ensure_months() TO ledger_service;
      """)
}
