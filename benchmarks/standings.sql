-- An epoch's eligibility, totals and standings in plain DuckDB SQL, the numbers of the shipped rules written in: what the expressions of
-- pictor/scoring are measured against. @names are files of the rollups, @day the epoch's end, @since the checkpoint's day.

CREATE TEMP TABLE lifetime AS
SELECT account, sum(recharged)::BIGINT AS recharged, sum(spent)::BIGINT AS spent, sum(frames)::BIGINT AS frames,
    sum(completed)::BIGINT AS completed, sum(failed)::BIGINT AS failed, sum(self_dealt)::BIGINT AS self_dealt
FROM (
    SELECT account, recharged, spent, frames, completed, failed, self_dealt FROM @account_sums WHERE moved = 0
    UNION ALL
    SELECT account, recharged, spent, frames, completed, failed, self_dealt FROM @account_days
    WHERE moved = 0 AND day >= @since AND day < @day AND batch <= 0
) GROUP BY account;

CREATE TEMP TABLE online AS
SELECT account, sum(minutes)::BIGINT AS minutes, sum(online_days::BIGINT << (day - @day + 30))::BIGINT AS days
FROM @worker_days WHERE moved = 0 AND day >= @day - 30 AND day < @day AND batch <= 0 GROUP BY account;

CREATE TEMP TABLE eligible AS
WITH enough AS (SELECT * FROM online WHERE minutes >= 28800),
suspects AS (SELECT account FROM enough WHERE ((1073741823 - days) & ((1073741823 - days) >> 1)) <> 0),
days AS (
    SELECT account, day * 1440 + min("first") AS begin, day * 1440 + max("last") AS stop
    FROM @worker_days SEMI JOIN suspects USING (account)
    WHERE moved = 0 AND day >= @day - 30 AND day < @day AND batch <= 0 GROUP BY account, day
),
runs AS (
    SELECT account, begin - coalesce(lag(stop) OVER in_order, (@day - 30) * 1440 - 1) - 1 AS before,
        coalesce(lead(begin) OVER in_order, @day * 1440) - stop - 1 AS after
    FROM days WINDOW in_order AS (PARTITION BY account ORDER BY begin)
)
SELECT role, a.account FROM (
    SELECT 1::TINYINT AS role, account AS id FROM lifetime WHERE recharged >= 5000000000 AND spent >= 5000000000
    UNION ALL
    SELECT 2::TINYINT, account FROM enough ANTI JOIN (SELECT account FROM runs WHERE greatest(before, after) > 4320) USING (account)
) JOIN @accounts a USING (id) ORDER BY role, a.account;

CREATE TEMP TABLE totals AS
WITH spending AS (
    SELECT account, sum(recharged)::BIGINT AS recharged FROM @account_days
    WHERE moved = 0 AND recharged <> 0 AND batch <= 0 AND day < @day
        AND day >= date_trunc('month', make_date(@day - 1))::DATE - DATE '1970-01-01' GROUP BY account
),
worked AS (
    SELECT account, sum(minutes * (500000 * hashpower // 1000 + 500000 * vram_mib::BIGINT // 24576))::BIGINT AS gpu_minutes FROM (
        SELECT account, hashpower::BIGINT AS hashpower, vram_mib, minutes FROM @gpu_minutes WHERE moved = 0
        UNION ALL
        SELECT account, hashpower, vram_mib, minutes FROM @worker_days
        WHERE moved = 0 AND day >= @since AND day < @day AND batch <= 0
    ) GROUP BY account
)
SELECT h.account, role, issued_at,
    CASE role WHEN 1 THEN coalesce(s.recharged, 0) ELSE 0 END AS recharged, CASE role WHEN 1 THEN coalesce(frames, 0) ELSE 0 END AS frames,
    CASE role WHEN 2 THEN coalesce(minutes, 0) ELSE 0 END AS online_minutes,
    CASE role WHEN 2 THEN coalesce(completed, 0) ELSE 0 END AS completed, CASE role WHEN 2 THEN coalesce(failed, 0) ELSE 0 END AS failed,
    CASE role WHEN 2 THEN coalesce(gpu_minutes, 0) ELSE 0 END AS gpu_minutes, coalesce(self_dealt, 0) AS self_dealt
FROM holders h LEFT JOIN @accounts a ON a.account = h.account LEFT JOIN lifetime l ON l.account = a.id
    LEFT JOIN spending s ON s.account = a.id LEFT JOIN online o ON o.account = a.id LEFT JOIN worked w ON w.account = a.id
WHERE issued_at < @day * 86400 ORDER BY role, h.account;

CREATE TEMP TABLE standings AS
WITH points AS (
    SELECT account, role, issued_at, greatest(recharged, 0) AS spending, frames * 1000000 AS completed_jobs,
        online_minutes * 1000000 // 1800 AS average_uptime, (completed * 5 - failed * 10) * 1000000 AS job_completion,
        gpu_minutes * 10 // 6000 AS gpu_performance, 100000000 AS pass FROM totals
),
scored AS (
    SELECT *, greatest(spending + completed_jobs + average_uptime + job_completion + gpu_performance + pass, 0) AS score FROM points
),
ranked AS (
    SELECT *, row_number() OVER (PARTITION BY role ORDER BY score DESC, issued_at, account) AS rank, count(*) OVER (PARTITION BY role) AS members
    FROM scored
)
SELECT account, role, spending, completed_jobs, average_uptime, job_completion, gpu_performance, pass, score, rank::INTEGER AS rank,
    (rank - 1) * 10000 < members * 1000 AS prioritized FROM ranked ORDER BY role, rank
