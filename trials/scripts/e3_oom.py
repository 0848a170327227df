# maxmemory hit by the backlog itself: does the fleet drain?
from lib import *; from lib import _procs
L=BIN+'/lab'
r=server(); u=f'redis://127.0.0.1:{r.port}'; q=Q(r,'lab')
for text in lua():
    try: r.script_load(text)
    except Exception as e: print(text.split(':')[0],e)
n=subprocess.Popen([L,'node',u,'4'],stdout=open(r.dir+'/node','w'),stderr=subprocess.STDOUT); _procs.append(n)
time.sleep(4)
pipe=r.pipeline(transaction=False)
import msgpack
for i in range(3000): pipe.xadd(q.lanes[3],{'j':env(i.to_bytes(16,'big'),b'lab',msgpack.packb({'n':1050})+b'')})
r.config_set('maxmemory-policy','noeviction')
pipe.execute(); t=time.time()
r.config_set('maxmemory',r.info('memory')['used_memory']-(1<<20)*0-200000)
print('maxmemory set just below what is used:',r.info('memory')['used_memory'],r.config_get('maxmemory'))
for k in range(10):
    time.sleep(3)
    m=r.info('memory')['used_memory']
    print(f't={time.time()-t:5.1f} waiting {r.xlen(q.lanes[3])} pending {r.xpending(q.lanes[3],"workers")["pending"]} completed {r.hget(q.stats,"completed")} used-max {m-int(r.config_get("maxmemory")["maxmemory"])} beat age {time.time()-max([s for _,s in r.zrange("poolder:{roster}:nodes",0,-1,withscores=True)] or [0])/1000:.0f}s')
n.kill(); log=open(r.dir+'/node').read()
print('\n'.join(l[:300] for l in log.splitlines() if 'WARN' in l)[:2500])
