"""The table of named reports: ../tables/cron.md is what it printed."""
import datetime as dt
from zoneinfo import ZoneInfo
from cron_oracle import run, E, ticks, NEXT, CRONER
UTC=dt.timezone.utc
def at(s): return int(dt.datetime.fromisoformat(s).astimezone(UTC).timestamp()*1000)
def show(ms,z): return dt.datetime.fromtimestamp(ms/1000,ZoneInfo(z)).isoformat()
T=[]
def case(report,expr,zone,after,n,want=None,note=''): T.append((report,expr,zone,after,n,want,note))
# (report, expression, zone, after, how many, expected local ISO list or 'ERR')
case('prefect#5957 Santiago midnight gap','0 0 * * 0','America/Santiago','2022-08-21T00:00:01-04:00',4,['2022-08-28T00:00:00-04:00','2022-09-04T00:00:00-04:00','2022-09-11T01:00:00-03:00','2022-09-18T00:00:00-03:00'])
case('node-cron#118 Sao Paulo midnight gap','0 0 12 11,26 * *','America/Sao_Paulo','2014-10-12T00:00:00-03:00',2,['2014-10-26T12:00:00-02:00','2014-11-11T12:00:00-02:00'])
case('node-cron#638 Amsterdam','30 2 * * 0','Europe/Amsterdam','2023-03-20T00:00:00+01:00',2,['2023-03-26T03:00:00+02:00','2023-04-02T02:30:00+02:00'])
case('croner-rust#16 NY gap','0 2 * * *','America/New_York','2025-03-09T01:30:00-05:00',2,['2025-03-09T03:00:00-04:00','2025-03-10T02:00:00-04:00'])
case('cron#145 fold, sub-hourly','*/15 * * * *','America/Los_Angeles','2025-11-02T01:29:00-07:00',8,['2025-11-02T01:30:00-07:00','2025-11-02T01:45:00-07:00','2025-11-02T01:00:00-08:00','2025-11-02T01:15:00-08:00','2025-11-02T01:30:00-08:00','2025-11-02T01:45:00-08:00','2025-11-02T02:00:00-08:00','2025-11-02T02:15:00-08:00'])
case('cron#145 fold, daily','0 1 * * *','America/Los_Angeles','2025-11-01T12:00:00-07:00',2,['2025-11-02T01:00:00-07:00','2025-11-03T01:00:00-08:00'])
case('cron#48/#56 London','0 * * * *','Europe/London','2019-10-27T01:03:29+01:00',3,['2019-10-27T01:00:00+00:00','2019-10-27T02:00:00+00:00','2019-10-27T03:00:00+00:00'])
case('quantum#407 Adelaide fold','30 2 * * *','Australia/Adelaide','2019-04-06T12:00:00+10:30',2,['2019-04-07T02:30:00+10:30','2019-04-08T02:30:00+09:30'])
case('quantum#321/#322 NY gap, every minute','* * * * *','America/New_York','2018-03-11T01:58:30-05:00',3,['2018-03-11T01:59:00-05:00','2018-03-11T03:00:00-04:00','2018-03-11T03:01:00-04:00'])
case('exq-scheduler#16 Copenhagen midnight','0 0 * * *','Europe/Copenhagen','2019-04-06T12:00:00+02:00',1,['2019-04-07T00:00:00+02:00'])
case('croner#286/node-cron#492 fold every 30 s','*/30 * * * * *','America/Chicago','2025-11-02T01:59:29-05:00',3,['2025-11-02T01:59:30-05:00','2025-11-02T01:00:00-06:00','2025-11-02T01:00:30-06:00'])
case('xen-orchestra#4024','0 2 * * *','America/New_York','2019-03-09T12:00:00-05:00',2,['2019-03-10T03:00:00-04:00','2019-03-11T02:00:00-04:00'])
case('rundeck#6879/#3234, 2:30 on the gap','30 2 * * *','America/New_York','2021-03-13T12:00:00-05:00',2,['2021-03-14T03:00:00-04:00','2021-03-15T02:30:00-04:00'])
case('librefang#3831 01:30 on the fold','30 1 * * *','America/New_York','2025-11-01T12:00:00-04:00',2,['2025-11-02T01:30:00-04:00','2025-11-03T01:30:00-05:00'])
case('pg_cron#329 @monthly in a leap year','@monthly','UTC','2024-01-15T00:00:00+00:00',3,['2024-02-01T00:00:00+00:00','2024-03-01T00:00:00+00:00','2024-04-01T00:00:00+00:00'])
case('leap day','0 0 29 2 *','UTC','2024-03-01T00:00:00+00:00',2,['2028-02-29T00:00:00+00:00','2032-02-29T00:00:00+00:00'])
case('leap day over 2100','0 0 29 2 *','UTC','2096-03-01T00:00:00+00:00',1,[])
case('31st','0 0 31 * *','UTC','2026-01-31T00:00:00+00:00',3,['2026-03-31T00:00:00+00:00','2026-05-31T00:00:00+00:00','2026-07-31T00:00:00+00:00'])
case('30 Feb','0 0 30 2 *','UTC','2026-01-01T00:00:00+00:00',1,'ERR')
case('31 of short months','0 0 31 4,6,9,11 *','UTC','2026-01-01T00:00:00+00:00',1,'ERR')
case('sidekiq-cron#166 L','0 8 L * *','Asia/Kuala_Lumpur','2017-07-31T00:00:00+08:00',1,'ERR','refused with a reason: documented')
case('sidekiq-cron#166 28-31','0 8 28-31 * *','Asia/Kuala_Lumpur','2017-07-30T09:00:00+08:00',2,['2017-07-31T08:00:00+08:00','2017-08-28T08:00:00+08:00'])
case('gronx#72 4-7/3','0 0 * * 4-7/3','UTC','2026-11-23T00:00:00+00:00',3,['2026-11-26T00:00:00+00:00','2026-11-29T00:00:00+00:00','2026-12-03T00:00:00+00:00'])
case('cron-parser#438 2/2','0 9 * * 2/2','UTC','2026-11-22T00:00:00+00:00',4,['2026-11-24T09:00:00+00:00','2026-11-26T09:00:00+00:00','2026-11-28T09:00:00+00:00','2026-12-01T09:00:00+00:00'])
case('gronx#72 7/step','0 0 * * 7/2','UTC','2026-11-23T00:00:00+00:00',1,['2026-11-29T00:00:00+00:00'],'Sunday is meant; an error with a reason would do')
case('dbos#1317 1-7/2','0 0 * * 1-7/2','UTC','2026-11-23T00:00:00+00:00',4,['2026-11-25T00:00:00+00:00','2026-11-27T00:00:00+00:00','2026-11-29T00:00:00+00:00','2026-11-30T00:00:00+00:00'])
case('openhab#2001 Sat-Sun','30 2 * * SAT-SUN','UTC','2026-11-23T00:00:00+00:00',3,['2026-11-28T02:30:00+00:00','2026-11-29T02:30:00+00:00','2026-12-05T02:30:00+00:00'])
case('cron-schedule#282 6-7','5 10 * * 6-7','UTC','2026-11-23T00:00:00+00:00',2,['2026-11-28T10:05:00+00:00','2026-11-29T10:05:00+00:00'])
case('Itinerary#11 MON/2','0 0 * * MON/2','UTC','2026-11-23T00:00:00+00:00',3,['2026-11-25T00:00:00+00:00','2026-11-27T00:00:00+00:00','2026-11-30T00:00:00+00:00'])
case('Fri-Mon wraps','0 0 * * Fri-Mon','UTC','2026-11-23T00:00:00+00:00',1,'ERR','documented as refused')
case('0-7','0 0 * * 0-7','UTC','2026-11-23T00:00:00+00:00',2,['2026-11-24T00:00:00+00:00','2026-11-25T00:00:00+00:00'])
case('7','0 0 * * 7','UTC','2026-11-23T00:00:00+00:00',2,['2026-11-29T00:00:00+00:00','2026-12-06T00:00:00+00:00'])
case('Sun-Tue','0 0 * * Sun-Tue','UTC','2026-11-23T00:00:00+00:00',3,['2026-11-24T00:00:00+00:00','2026-11-29T00:00:00+00:00','2026-11-30T00:00:00+00:00'])
case('dom or dow','0 0 13 * Fri','UTC','2026-11-10T00:00:00+00:00',3,['2026-11-13T00:00:00+00:00','2026-11-20T00:00:00+00:00','2026-11-27T00:00:00+00:00'])
case('dom */2 and dow','0 0 */2 * Mon','UTC','2026-11-01T00:00:00+00:00',2,['2026-11-09T00:00:00+00:00','2026-11-23T00:00:00+00:00'],'Debian: star -> and')
case('dom 1-31 or dow (cron bug)','0 0 1-31 * Mon','UTC','2026-11-01T00:00:00+00:00',2,['2026-11-02T00:00:00+00:00','2026-11-03T00:00:00+00:00'])
case('cron-utils#57 Mon-Fri from 1970','30 3 * * MON-FRI','UTC','1970-01-01T00:00:00+00:00',2,['1970-01-01T03:30:00+00:00','1970-01-02T03:30:00+00:00'])
case('Apia skips a day','0 12 * * *','Pacific/Apia','2011-12-29T00:00:00-10:00',3,['2011-12-29T12:00:00-10:00','2011-12-31T00:00:00+14:00','2011-12-31T12:00:00+14:00'])
case('Lord Howe half hour gap','15 2 * * *','Australia/Lord_Howe','2026-10-03T12:00:00+10:30',2,['2026-10-04T02:30:00+11:00','2026-10-05T02:15:00+11:00'])
case('Troll two hours','30 2 * * *','Antarctica/Troll','2026-03-28T12:00:00+00:00',2,['2026-03-29T03:00:00+02:00','2026-03-30T02:30:00+02:00'])
case('Casablanca: Ramadan','30 2 * * *','Africa/Casablanca','2026-02-14T12:00:00+01:00',3,None)
case('Dublin negative DST','30 1 * * *','Europe/Dublin','2026-10-24T12:00:00+01:00',2,['2026-10-25T01:30:00+01:00','2026-10-26T01:30:00+00:00'])
case('2:30 and 3:00 collapse','30 2 * * *','Europe/Berlin','2026-03-28T12:00:00+01:00',2,['2026-03-29T03:00:00+02:00','2026-03-30T02:30:00+02:00'])
case('list in the gap ticks once','0,15,30,45 2,3 * * *','Europe/Berlin','2026-03-29T00:00:00+01:00',5,['2026-03-29T03:00:00+02:00','2026-03-29T03:15:00+02:00','2026-03-29T03:30:00+02:00','2026-03-29T03:45:00+02:00','2026-03-30T02:00:00+02:00'])
case('hour range, fixed minute, fold','30 1-3 * * *','Europe/Berlin','2026-10-25T00:00:00+02:00',4,['2026-10-25T01:30:00+02:00','2026-10-25T02:30:00+02:00','2026-10-25T03:30:00+01:00','2026-10-26T01:30:00+01:00'])
case('year 2050 DST still known','0 12 1 7 *','Europe/Berlin','2050-01-01T00:00:00+01:00',1,['2050-07-01T12:00:00+02:00'])
case('year 2099 DST still known','0 12 1 7 *','America/New_York','2099-01-01T00:00:00-05:00',1,['2099-07-01T12:00:00-04:00'])
case('year field','0 0 12 1 1 * 2030','UTC','2026-01-01T00:00:00+00:00',2,['2030-01-01T12:00:00+00:00'])
case('*/60','*/60 * * * *','UTC','2026-01-01T00:00:00+00:00',1,'ERR')
case('59 23 31 12 *','59 23 31 12 *','UTC','2026-12-31T23:59:00+00:00',1,['2027-12-31T23:59:00+00:00'])
case('unicode digits','٣ * * * *','UTC','2026-01-01T00:00:00+00:00',1,'ERR')
case('5 fields, tabs','0\u00a00 * * *','UTC','2026-01-01T00:00:00+00:00',1,None)
case('huge list',','.join(str(i%60) for i in range(150))+' * * * *','UTC','2026-01-01T00:00:00+00:00',1,['2026-01-01T00:01:00+00:00'])
case('month names','0 0 1 jan-mar,DECEMBER *','UTC','2026-01-02T00:00:00+00:00',3,['2026-02-01T00:00:00+00:00','2026-03-01T00:00:00+00:00','2026-12-01T00:00:00+00:00'])
case('Mexico: DST abolished','30 2 * * *','America/Mexico_City','2023-04-01T12:00:00-06:00',1,['2023-04-02T02:30:00-06:00'])
case('Paraguay: DST for ever since 2024-10','0 12 * * *','America/Asuncion','2026-06-01T00:00:00-03:00',1,['2026-06-01T12:00:00-03:00'])
case('Almaty moved 2024-03','0 12 * * *','Asia/Almaty','2026-06-01T00:00:00+05:00',1,['2026-06-01T12:00:00+05:00'])
case('zone in another case','0 0 * * *','europe/berlin','2026-06-01T00:00:00+02:00',1,None)
case('zone alias','0 0 * * *','US/Eastern','2026-06-01T00:00:00-04:00',1,['2026-06-02T00:00:00-04:00'])
case('fixed offset zone','0 0 * * *','Etc/GMT+5','2026-06-01T00:00:00-05:00',1,['2026-06-02T00:00:00-05:00'])
case('before 1970','0 0 * * *','UTC','1960-01-01T00:00:00+00:00',1,None)
case('LMT offset with seconds','0 12 * * *','Africa/Monrovia','1971-12-31T00:00:00+00:00',1,['1971-12-31T12:00:00-00:44:30'])
cs=[(c[1],c[2],at(c[3]),c[4]) for c in T]
res=run(NEXT,cs); cr=run(CRONER,cs)
from croniter import croniter
fails=0
print('| report | expression, zone, after | right | poolder | croner | croniter | |')
for c,r,k in zip(T,res,cr):
    rep,e,z,a,n,want,note=c
    zz='Europe/Berlin' if z=='europe/berlin' else z
    got='ERR' if r.startswith('ERR') else [show(int(x),zz) for x in r.split()]
    kg='ERR' if k.startswith('ERR') else [show(int(x),zz) for x in k.split()]
    try:
        it=croniter(e,dt.datetime.fromisoformat(a).astimezone(ZoneInfo(zz)),second_at_beginning=True); cg=[it.get_next(dt.datetime).isoformat() for _ in range(n)]
    except Exception as x: cg='ERR'
    ok = 'note' if want is None else ('PASS' if got==want else 'FAIL')
    fails+= ok=='FAIL'
    f=lambda l: l if isinstance(l,str) else (', '.join(l[:4]) or 'none')
    print('|',rep,'|',e[:40],z,a,'|',f(want) if want is not None else '-','|',f(got) if got!='ERR' else r[:120],'|','same' if kg==got else f(kg),'|','same' if cg==got else f(cg),'|',ok,note,'|')
print('FAILS',fails,'of',len(T))
